def driver(kernel):
    driver(kernel)
