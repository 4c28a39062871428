/* C that makes a compiler put code, data and references into many sections. */
extern int kernel_function(unsigned int a, unsigned int b);
extern int absent(void) __attribute__((weak));
extern unsigned int kernel_object[4];

static int counter = 3;
static int table[16];
int common[5];
const char *const names[] = { "memory", "reserved", "physmem" };
int *const inside[] = { &table[3], &counter, (int *)&kernel_object[2], &common[1] };

__attribute__((weak)) int chosen(void)
{
	return 1;
}

static __attribute__((noinline)) int step(int n)
{
	table[n & 15] += counter++;
	return table[n & 15];
}

int sum(int n)
{
	int total = absent ? absent() : 0;

	while (n--)
		total += step(n);
	return total + common[0] + chosen();
}

int tail(unsigned int a)
{
	return kernel_function(a, kernel_object[1]);
}

int (*const steps[])(int) = { sum, step };

int name(unsigned int n)
{
	switch (n) {
	case 0: return names[0][0];
	case 1: return names[1][1];
	case 2: return names[2][2];
	case 3: return *inside[1];
	case 4: return steps[0](4);
	case 5: return *inside[3];
	default: return -1;
	}
}
