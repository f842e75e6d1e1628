/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream MIB ROUNDS - the bandwidth-bound workload of bench-locality: sums of
 * arrays of MIB each, a[i] = b[i] + 3 c[i], over and over. Compiled in the guest
 * by tcc. Prints a sum of the result.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char *argv[])
{
	size_t mib = argc > 1 ? (size_t)atoi(argv[1]) : 4;
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
	size_t nr = (mib << 20) / sizeof(double);
	double *a = malloc(nr * sizeof(*a)), *b = malloc(nr * sizeof(*b));
	double *c = malloc(nr * sizeof(*c)), sum = 0;

	if (!a || !b || !c || !nr)
		return 1;
	for (size_t i = 0; i < nr; i++) {
		b[i] = (double)(i % 100);
		c[i] = 1;
	}
	for (unsigned r = 0; r < rounds; r++)
		for (size_t i = 0; i < nr; i++)
			a[i] = b[i] + 3 * c[i];
	for (size_t i = 0; i < nr; i++)
		sum += a[i];
	printf("stream %.0f\n", sum);
	return 0;
}
