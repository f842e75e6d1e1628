/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jacobi's iteration of Laplace's equation on a square: each process has some of
 * the rows, and exchanges the outermost ones with its neighbours in each step.
 *
 *	stencil SIDE STEPS
 *
 * Prints the number of processes, seconds, and the sum of all cells, which is
 * the same however many processes there are, but for rounding.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int side, rows, rank, nr;
static double *now, *next;

#define AT(a, y, x) (a)[(size_t)(y)*side + (x)]

static void exchange(void)
{
	int up = rank ? rank - 1 : MPI_PROC_NULL;
	int down = rank + 1 < nr ? rank + 1 : MPI_PROC_NULL;

	MPI_Sendrecv(&AT(now, 1, 0), side, MPI_DOUBLE, up, 0,
		     &AT(now, rows + 1, 0), side, MPI_DOUBLE, down, 0,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	MPI_Sendrecv(&AT(now, rows, 0), side, MPI_DOUBLE, down, 1,
		     &AT(now, 0, 0), side, MPI_DOUBLE, up, 1, MPI_COMM_WORLD,
		     MPI_STATUS_IGNORE);
}

static void step(void)
{
	double *old = now;

	exchange();
	for (int y = 1; y <= rows; y++)
		for (int x = 1; x < side - 1; x++)
			AT(next, y, x) =
				0.25 * (AT(now, y - 1, x) + AT(now, y + 1, x) +
					AT(now, y, x - 1) + AT(now, y, x + 1));
	now = next;
	next = old;
}

/* 100 at the left edge, 0 at the others. */
static void init(void)
{
	for (int y = 0; y < rows + 2; y++)
		AT(now, y, 0) = AT(next, y, 0) = 100.0;
}

int main(int argc, char **argv)
{
	double start, mine = 0, all = 0;
	int steps;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &nr);
	side = argc > 1 ? atoi(argv[1]) : 256;
	steps = argc > 2 ? atoi(argv[2]) : 100;
	rows = side / nr;
	if (side < 4 || steps < 1 || side % nr) {
		fprintf(stderr, "stencil: %d rows for %d processes\n", side,
			nr);
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	now = calloc((size_t)(rows + 2) * side, sizeof(*now));
	next = calloc((size_t)(rows + 2) * side, sizeof(*next));
	if (!now || !next)
		MPI_Abort(MPI_COMM_WORLD, 1);
	init();
	MPI_Barrier(MPI_COMM_WORLD);
	start = MPI_Wtime();
	for (int i = 0; i < steps; i++)
		step();
	MPI_Barrier(MPI_COMM_WORLD);
	start = MPI_Wtime() - start;
	for (int y = 1; y <= rows; y++)
		for (int x = 0; x < side; x++)
			mine += AT(now, y, x);
	MPI_Reduce(&mine, &all, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
	if (!rank)
		printf("stencil %d %.3f %.6f\n", nr, start, all);
	free(now);
	free(next);
	MPI_Finalize();
	return 0;
}
