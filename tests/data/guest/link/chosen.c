/* The strong definition of what library.c defines weakly, and its common symbol once more. */
int common[2];

int chosen(void)
{
	return common[1] + 40;
}
