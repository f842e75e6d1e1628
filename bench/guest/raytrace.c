/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raytrace - the read-shared workload of bench-locality: rays through a scene of
 * spheres with textures, as SPLASH-2's raytrace. One process makes the scene; then
 * all of them read it, take tiles of the picture from a queue, and have for each
 * ray a stack of their own. Compiled in the guest by tcc.
 *
 *	raytrace make FILE MIB SEED	MIB: a power of two
 *	raytrace check FILE RAYS	by the tree, and by all spheres
 *	raytrace run FILE SIDE PART PARTS PROCESSES
 *					every PARTS-th tile of SIDE x SIDE rays
 *
 * Spheres are the leaves of a binary tree of boxes, one in each cell of space that
 * halves of halves are. Rays are reflected, so that they soon go anywhere. What a
 * ray comes from has the mean colour of SAMPLES places of the texture.
 *
 * A ray's end has to be on the sphere that it has hit, and all tiles have to be
 * done once. Prints a sum that depends on every hit, and not on their order.
 */
#include "bench/guest/shared.h"

#define MAGIC	  0x6563617279617274ul
#define SPACE	  1048576.0 /* side of the scene */
#define TILE	  8u	    /* side, in rays */
#define BOUNCES	  4u	    /* at most */
#define SAMPLES	  64u	    /* of the texture, per end of a ray */
#define STACK	  64u	    /* boxes that wait: one per level of the tree */
#define FAR	  1e30
#define TOO_CLOSE 1e-3 /* to where the ray begins */

/*
 * The first page of the file; then boxes[2 * spheres], spheres[spheres], and a
 * texture of as many bytes as these have.
 */
struct head {
	unsigned long magic, spheres, seed;
};

struct box {
	float low[3], high[3];
	unsigned pad[2];
};

struct sphere {
	double at[3], radius;
	unsigned colour, pad[7];
};

/* Of the scene, but for the texture: a power of two. */
#define SPHERE_BYTES (2 * sizeof(struct box) + sizeof(struct sphere))

struct scene {
	const struct head *head;
	struct box *boxes; /* [1] has all; [i]'s halves are [2i], [2i + 1] */
	struct sphere *spheres;
	unsigned *texture;
	unsigned long nr;
};

struct waiting {
	double at;
	unsigned long box;
};

/* One ray, with all that it needs: a process's own memory. */
struct ray {
	double from[3], to[3], inverse[3]; /* to: of length 1 */
	double end;			   /* how far it comes */
	unsigned long hit;		   /* a sphere; nr: none */
	unsigned nr;
	struct waiting stack[STACK];
};

struct picture {
	struct scene scene;
	unsigned side, part, parts;
	struct counts *all;
};

/* Of all processes of this guest. */
struct counts {
	volatile unsigned long next; /* the queue: the next tile of the part */
	volatile unsigned long rays, hits, sum, wrong;
};

/* By Newton's method: the same on each machine, and no libm. */
static double root(double x)
{
	double r = x > 1 ? x : 1;

	if (x <= 0)
		return 0;
	for (unsigned i = 0; i < 200; i++) {
		double next = (r + x / r) / 2;

		if (next >= r)
			break;
		r = next;
	}
	return r;
}

static double dot(const double *a, const double *b)
{
	return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* 0 to 1, of a number. */
static double chance(unsigned long seed)
{
	return (double)(shared_mix(seed) >> 11) / 9007199254740992.0;
}

/* --- the scene ------------------------------------------------------------ */

static int map_scene(struct scene *s, const char *path, int writes,
		     unsigned long nr)
{
	size_t bytes;

	s->head = shared_map(path, writes, &bytes);
	if (!s->head || (!writes && s->head->magic != MAGIC))
		return 0;
	s->nr = writes ? nr : s->head->spheres;
	s->boxes = (struct box *)((char *)s->head + SHARED_PAGE);
	s->spheres = (struct sphere *)(s->boxes + 2 * s->nr);
	s->texture = (unsigned *)(s->spheres + s->nr);
	return bytes >= SHARED_PAGE + 2 * s->nr * SPHERE_BYTES;
}

/* Each bit of its number halves the cell of a sphere, along x, y, z in turn. */
static void make_sphere(struct scene *s, unsigned long i, unsigned long seed)
{
	double low[3] = { 0 }, size[3] = { SPACE, SPACE, SPACE };
	struct sphere *p = &s->spheres[i];
	struct box *b = &s->boxes[s->nr + i];
	unsigned axis = 0;

	for (unsigned long bit = s->nr / 2; bit; bit /= 2) {
		size[axis] /= 2;
		if (i & bit)
			low[axis] += size[axis];
		axis = (axis + 1) % 3;
	}
	seed = shared_mix(seed * s->nr + i);
	p->radius = size[2] * (0.2 + 0.2 * chance(seed));
	p->colour = (unsigned)seed;
	for (unsigned k = 0; k < 3; k++) {
		p->at[k] = low[k] + size[k] * chance(seed + k + 1);
		/* A bit wider, as a float has fewer digits. */
		b->low[k] = (float)(p->at[k] - p->radius - 1);
		b->high[k] = (float)(p->at[k] + p->radius + 1);
	}
}

static void make_boxes(struct scene *s)
{
	for (unsigned long i = s->nr - 1; i; i--)
		for (unsigned k = 0; k < 3; k++) {
			const struct box *x = &s->boxes[2 * i], *y = x + 1;
			struct box *b = &s->boxes[i];

			b->low[k] = x->low[k] < y->low[k] ? x->low[k]
							  : y->low[k];
			b->high[k] = x->high[k] > y->high[k] ? x->high[k]
							     : y->high[k];
		}
}

static unsigned long texels(const struct scene *s)
{
	return s->nr * SPHERE_BYTES / sizeof(s->texture[0]);
}

static int make(const char *path, unsigned long mib, unsigned long seed)
{
	unsigned long nr = (mib << 19) / SPHERE_BYTES;
	struct head *h;
	struct scene s;

	if (!mib || mib & (mib - 1) || mib > 1024 ||
	    shared_make(path, SHARED_PAGE + (mib << 20)) ||
	    !map_scene(&s, path, 1, nr))
		return 0;
	for (unsigned long i = 0; i < nr; i++)
		make_sphere(&s, i, seed);
	make_boxes(&s);
	for (unsigned long i = 0; i < texels(&s); i++)
		s.texture[i] = (unsigned)shared_mix(seed + i);
	h = (struct head *)s.head;
	h->spheres = nr;
	h->seed = seed;
	h->magic = MAGIC;
	return 1;
}

/* --- rays ----------------------------------------------------------------- */

/* Where it enters the box; FAR: never, or behind what it has hit. */
static double enter_box(const struct ray *r, const struct box *b)
{
	double first = TOO_CLOSE, last = r->end;

	for (unsigned k = 0; k < 3; k++) {
		double x = (b->low[k] - r->from[k]) * r->inverse[k];
		double y = (b->high[k] - r->from[k]) * r->inverse[k];

		if (x > y) {
			double swapped = x;

			x = y;
			y = swapped;
		}
		first = x > first ? x : first;
		last = y < last ? y : last;
	}
	return first <= last ? first : FAR;
}

static void meet_sphere(struct ray *r, const struct scene *s, unsigned long i)
{
	const struct sphere *p = &s->spheres[i];
	double v[3], middle, under, at;

	for (unsigned k = 0; k < 3; k++)
		v[k] = p->at[k] - r->from[k];
	middle = dot(v, r->to);
	under = middle * middle - dot(v, v) + p->radius * p->radius;
	if (under < 0)
		return;
	under = root(under);
	at = middle - under > TOO_CLOSE ? middle - under : middle + under;
	if (at > TOO_CLOSE && at < r->end) {
		r->end = at;
		r->hit = i;
	}
}

static void push(struct ray *r, const struct scene *s, unsigned long box)
{
	double at = enter_box(r, &s->boxes[box]);

	if (at < FAR && r->nr < STACK)
		r->stack[r->nr++] = (struct waiting){ at, box };
}

static void begin(struct ray *r, const struct scene *s)
{
	for (unsigned k = 0; k < 3; k++)
		r->inverse[k] = r->to[k] < 0 || r->to[k] > 0 ? 1 / r->to[k]
							     : FAR;
	r->end = FAR;
	r->hit = s->nr;
	r->nr = 0;
}

/* Find the nearest sphere; of two boxes the nearer one first. */
static void trace(struct ray *r, const struct scene *s)
{
	begin(r, s);
	push(r, s, 1);
	while (r->nr) {
		struct waiting w = r->stack[--r->nr];
		unsigned nr = r->nr;

		if (w.at >= r->end)
			continue;
		if (w.box >= s->nr) {
			meet_sphere(r, s, w.box - s->nr);
			continue;
		}
		push(r, s, 2 * w.box);
		push(r, s, 2 * w.box + 1);
		if (r->nr == nr + 2 && r->stack[nr].at < r->stack[nr + 1].at) {
			w = r->stack[nr];
			r->stack[nr] = r->stack[nr + 1];
			r->stack[nr + 1] = w;
		}
	}
}

/* From before the scene through a point of its front. */
static void aim(struct ray *r, double x, double y)
{
	const double to[3] = { (x - 0.5) * SPACE, (y - 0.5) * SPACE,
			       SPACE / 2 };
	double length = root(dot(to, to));

	r->from[0] = r->from[1] = SPACE / 2;
	r->from[2] = -SPACE / 2;
	for (unsigned k = 0; k < 3; k++)
		r->to[k] = to[k] / length;
}

/* Return: whether where it ends is on the sphere. */
static int reflect(struct ray *r, const struct scene *s)
{
	const struct sphere *p = &s->spheres[r->hit];
	double normal[3], off, along, length;

	for (unsigned k = 0; k < 3; k++) {
		r->from[k] += r->to[k] * r->end;
		normal[k] = (r->from[k] - p->at[k]) / p->radius;
	}
	along = dot(r->to, normal);
	for (unsigned k = 0; k < 3; k++)
		r->to[k] -= 2 * along * normal[k];
	/* Or small errors would grow with each reflection. */
	length = root(dot(r->to, r->to));
	for (unsigned k = 0; k < 3; k++)
		r->to[k] /= length;
	off = dot(normal, normal) - 1;
	return off < 1e-6 && off > -1e-6;
}

/* --- the picture ---------------------------------------------------------- */

/* Places that are anywhere, as those of a rough surface are: one draw each. */
static unsigned long shade(const struct scene *s, unsigned at)
{
	unsigned mask = (unsigned)texels(s) - 1;
	unsigned long sum = 0;

	for (unsigned i = 0; i < SAMPLES; i++) {
		at = at * 1664525u + 1013904223u;
		sum += s->texture[at >> 4 & mask];
	}
	return sum;
}

static void render_ray(const struct picture *p, unsigned x, unsigned y,
		       struct counts *c)
{
	unsigned long sum = (unsigned long)y * p->side + x;
	struct ray r;

	aim(&r, (x + 0.5) / p->side, (y + 0.5) / p->side);
	for (unsigned bounce = 0; bounce <= BOUNCES; bounce++) {
		trace(&r, &p->scene);
		if (r.hit == p->scene.nr)
			break;
		sum = shared_mix(sum + r.hit);
		sum += shade(&p->scene,
			     p->scene.spheres[r.hit].colour ^ (unsigned)sum);
		c->hits++;
		if (!reflect(&r, &p->scene))
			c->wrong++;
	}
	c->sum += sum + shade(&p->scene, (unsigned)shared_mix(sum));
	c->rays++;
}

static unsigned long tiles(const struct picture *p)
{
	unsigned long a_row = p->side / TILE;

	return a_row * a_row;
}

static int render(void *arg, unsigned process)
{
	const struct picture *p = arg;
	struct counts own = { 0 };
	unsigned long tile;

	(void)process;
	while ((tile = shared_add(&p->all->next, 1) * p->parts + p->part) <
	       tiles(p)) {
		unsigned x = (unsigned)(tile % (p->side / TILE)) * TILE;
		unsigned y = (unsigned)(tile / (p->side / TILE)) * TILE;

		for (unsigned i = 0; i < TILE * TILE; i++)
			render_ray(p, x + i % TILE, y + i / TILE, &own);
	}
	shared_add(&p->all->rays, own.rays);
	shared_add(&p->all->hits, own.hits);
	shared_add(&p->all->sum, own.sum);
	shared_add(&p->all->wrong, own.wrong);
	return 0;
}

static int run(struct picture *p, unsigned processes)
{
	unsigned long mine = 0;
	struct counts *c;

	if (!p->parts || p->part >= p->parts || !processes || !p->side ||
	    p->side % TILE)
		return 0;
	c = p->all = mmap(NULL, SHARED_PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED || !shared_fork(processes, render, p))
		return 0;
	for (unsigned long tile = p->part; tile < tiles(p); tile += p->parts)
		mine += TILE * TILE;
	if (c->rays != mine || c->wrong) {
		printf("raytrace: %lu of %lu rays, %lu ends are on no sphere\n",
		       c->rays, mine, c->wrong);
		return 0;
	}
	printf("raytrace %lu rays, %lu hits, sum %lx\n", c->rays, c->hits,
	       c->sum);
	return 1;
}

/* Rays through the scene from anywhere, against all spheres. */
static int check(const struct scene *s, unsigned nr)
{
	unsigned wrong = 0, hits = 0;
	struct ray r;

	for (unsigned i = 0; i < nr; i++) {
		unsigned long hit;

		aim(&r, chance(2 * i), chance(2 * i + 1));
		trace(&r, s);
		hit = r.hit;
		begin(&r, s);
		for (unsigned long k = 0; k < s->nr; k++)
			meet_sphere(&r, s, k);
		wrong += hit != r.hit;
		hits += hit != s->nr;
	}
	printf("raytrace: of %u rays %u hit, %u not what they should\n", nr,
	       hits, wrong);
	return !wrong && hits;
}

int main(int argc, char *argv[])
{
	struct picture p;

	memset(&p, 0, sizeof(p));
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		return !make(argv[2], strtoul(argv[3], NULL, 0),
			     strtoul(argv[4], NULL, 0));
	if (argc < 4 || (strcmp(argv[1], "check") && strcmp(argv[1], "run")) ||
	    argc != (argv[1][0] == 'c' ? 4 : 7)) {
		fprintf(stderr, "usage: raytrace make FILE MIB SEED\n"
				"       raytrace check FILE RAYS\n"
				"       raytrace run FILE SIDE PART PARTS "
				"PROCESSES\n");
		return 2;
	}
	if (!map_scene(&p.scene, argv[2], 0, 0)) {
		printf("raytrace: %s is no scene\n", argv[2]);
		return 1;
	}
	if (argv[1][0] == 'c')
		return !check(&p.scene, (unsigned)atoi(argv[3]));
	p.side = (unsigned)atoi(argv[3]);
	p.part = (unsigned)atoi(argv[4]);
	p.parts = (unsigned)atoi(argv[5]);
	return !run(&p, (unsigned)atoi(argv[6]));
}
