/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file is read once into memory, checked there, and copied to where it runs:
 * whoever writes to the file meanwhile changes nothing. Each offset and address
 * that it has is hostile until the check beside its use.
 */
#include "memory/placement/plugin.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/placement/policies.h"

#define MAX_SEGMENTS 16u

/* What is known of an object while it is loaded. */
struct plugin_image {
	const uint8_t *file;
	size_t file_bytes;
	uint8_t *base; /* of address 0 */
	size_t bytes;
	const Elf64_Phdr *segments; /* in file */
	unsigned nr_segments;
	/* Of the dynamic section; addresses. */
	uint64_t symbols, strings, strings_bytes, hash;
	uint64_t rela[2], rela_bytes[2]; /* DT_RELA, DT_JMPREL */
	const char *missing; /* a symbol that it wants; or another reason */
	bool other_abi;	     /* its policy is of another version */
};

/* @len bytes at an address of the image; NULL: not all of them are in it. */
static void *plugin_at(const struct plugin_image *im, uint64_t address,
		       uint64_t len)
{
	return range_fits(address, len, im->bytes) ? im->base + address : NULL;
}

static int plugin_read(int fd, uint8_t **out, size_t *bytes)
{
	struct stat st;
	uint8_t *file;
	ssize_t got;

	if (fstat(fd, &st))
		return errno ? -errno : -EIO;
	if (st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return -EINVAL;
	if (st.st_size > (off_t)POLICY_PLUGIN_BYTES)
		return -E2BIG;
	/* Aligned as malloc() has it: headers are read in place. */
	file = malloc((size_t)st.st_size);
	if (!file)
		return -ENOMEM;
	got = pread(fd, file, (size_t)st.st_size, 0);
	if (got != st.st_size) {
		int err = got < 0 ? -errno : -EINVAL;

		free(file);
		return err;
	}
	*out = file;
	*bytes = (size_t)st.st_size;
	return 0;
}

/* Checks the headers, and finds how much memory it takes. */
static int plugin_check(struct plugin_image *im)
{
	const Elf64_Ehdr *h = (const void *)im->file;

	if (!h || im->file_bytes < sizeof(*h) ||
	    memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
	    h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_DYN ||
	    h->e_machine != EM_X86_64 || h->e_phentsize != sizeof(Elf64_Phdr) ||
	    h->e_phoff % 8 || !h->e_phnum || h->e_phnum > MAX_SEGMENTS ||
	    !range_fits(h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr),
			im->file_bytes))
		return -EINVAL;
	im->segments = (const void *)(im->file + h->e_phoff);
	im->nr_segments = h->e_phnum;
	for (unsigned i = 0; i < im->nr_segments; i++) {
		const Elf64_Phdr *s = &im->segments[i];

		if (s->p_type == PT_TLS || s->p_type == PT_INTERP) {
			im->missing = "thread-local memory, or a loader";
			return -ENOEXEC;
		}
		if (s->p_type != PT_LOAD)
			continue;
		if (s->p_filesz > s->p_memsz ||
		    !range_fits(s->p_offset, s->p_filesz, im->file_bytes))
			return -EINVAL;
		if (!range_fits(s->p_vaddr, s->p_memsz, POLICY_PLUGIN_BYTES))
			return -E2BIG;
		im->bytes = max_u64(im->bytes, align_up(s->p_vaddr + s->p_memsz,
							PAGE_BYTES));
	}
	return im->bytes ? 0 : -EINVAL;
}

static int plugin_copy(struct plugin_image *im)
{
	void *p = mmap(NULL, im->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	im->base = p;
	for (unsigned i = 0; i < im->nr_segments; i++) {
		const Elf64_Phdr *s = &im->segments[i];

		if (s->p_type == PT_LOAD)
			memcpy(im->base + s->p_vaddr, im->file + s->p_offset,
			       s->p_filesz);
	}
	return 0;
}

/* One entry of the dynamic section. What would run by itself is refused. */
static bool plugin_take_dynamic(struct plugin_image *im, const Elf64_Dyn *d)
{
	uint64_t v = d->d_un.d_val;

	switch (d->d_tag) {
	case DT_SYMTAB:
		im->symbols = v;
		break;
	case DT_STRTAB:
		im->strings = v;
		break;
	case DT_STRSZ:
		im->strings_bytes = v;
		break;
	case DT_HASH:
		im->hash = v;
		break;
	case DT_RELA:
		im->rela[0] = v;
		break;
	case DT_RELASZ:
		im->rela_bytes[0] = v;
		break;
	case DT_JMPREL:
		im->rela[1] = v;
		break;
	case DT_PLTRELSZ:
		im->rela_bytes[1] = v;
		break;
	case DT_INIT:
	case DT_INIT_ARRAY:
	case DT_PREINIT_ARRAY:
		im->missing = "constructors: link it with -nostdlib";
		return false;
	case DT_REL:
	case DT_RELR:
	case DT_TEXTREL:
		im->missing = "relocations of a kind that is not known";
		return false;
	default:
		break;
	}
	return true;
}

static int plugin_dynamic(struct plugin_image *im)
{
	const Elf64_Phdr *s = NULL;
	const Elf64_Dyn *d;

	for (unsigned i = 0; i < im->nr_segments; i++)
		if (im->segments[i].p_type == PT_DYNAMIC)
			s = &im->segments[i];
	d = s && s->p_vaddr % 8 == 0 ? plugin_at(im, s->p_vaddr, s->p_memsz)
				     : NULL;
	if (!d)
		return -EINVAL;
	for (uint64_t i = 0; i < s->p_memsz / sizeof(*d); i++) {
		if (d[i].d_tag == DT_NULL)
			break;
		if (!plugin_take_dynamic(im, &d[i]))
			return -ENOEXEC;
	}
	if (im->symbols % 8 || !plugin_at(im, im->strings, im->strings_bytes) ||
	    !im->strings_bytes ||
	    im->base[im->strings + im->strings_bytes - 1] != '\0')
		return -EINVAL;
	return 0;
}

/* A symbol and its name; false: out of the image. */
static bool plugin_symbol(const struct plugin_image *im, uint64_t i,
			  const Elf64_Sym **sym, const char **name)
{
	uint64_t at;

	if (__builtin_mul_overflow(i, sizeof(**sym), &at) ||
	    __builtin_add_overflow(at, im->symbols, &at))
		return false;
	*sym = plugin_at(im, at, sizeof(**sym));
	if (!*sym || (*sym)->st_name >= im->strings_bytes)
		return false;
	*name = (const char *)im->base + im->strings + (*sym)->st_name;
	return true;
}

/* Address of a symbol in this process; 0: nobody has it. */
static uint64_t plugin_resolve(const struct plugin_image *im,
			       const Elf64_Sym *sym, const char *name)
{
	const struct {
		const char *name;
		uintptr_t fn;
	} lent[] = {
		{ "memcpy", (uintptr_t)memcpy },
		{ "memmove", (uintptr_t)memmove },
		{ "memset", (uintptr_t)memset },
		{ "memcmp", (uintptr_t)memcmp },
	};

	if (sym->st_shndx != SHN_UNDEF)
		return plugin_at(im, sym->st_value, 1)
			       ? (uint64_t)(uintptr_t)im->base + sym->st_value
			       : 0;
	for (size_t i = 0; i < ARRAY_SIZE(lent); i++)
		if (strcmp(name, lent[i].name) == 0)
			return lent[i].fn;
	return 0;
}

static int plugin_relocate_one(struct plugin_image *im, const Elf64_Rela *r)
{
	uint64_t base = (uint64_t)(uintptr_t)im->base, value;
	uint8_t *where = plugin_at(im, r->r_offset, sizeof(value));
	const Elf64_Sym *sym;
	const char *name;

	if (!where)
		return -EINVAL;
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_RELATIVE:
		value = base + (uint64_t)r->r_addend;
		break;
	case R_X86_64_64:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
		if (!plugin_symbol(im, ELF64_R_SYM(r->r_info), &sym, &name))
			return -EINVAL;
		value = plugin_resolve(im, sym, name);
		if (!value) {
			im->missing = name;
			return -ENOEXEC;
		}
		value += (uint64_t)r->r_addend;
		break;
	default:
		im->missing = "a relocation of a kind that is not known";
		return -ENOEXEC;
	}
	memcpy(where, &value, sizeof(value));
	return 0;
}

static int plugin_relocate(struct plugin_image *im)
{
	Elf64_Rela r;
	int err = 0;

	for (unsigned t = 0; t < 2; t++) {
		uint64_t nr = im->rela_bytes[t] / sizeof(r);

		if (!plugin_at(im, im->rela[t], im->rela_bytes[t]))
			return -EINVAL;
		for (uint64_t i = 0; !err && i < nr; i++) {
			/* A copy: a relocation may change the table. */
			memcpy(&r, im->base + im->rela[t] + i * sizeof(r),
			       sizeof(r));
			err = plugin_relocate_one(im, &r);
		}
	}
	return err;
}

/* From here on nothing of the object changes but its data. */
static int plugin_protect(const struct plugin_image *im)
{
	for (unsigned i = 0; i < im->nr_segments; i++) {
		const Elf64_Phdr *s = &im->segments[i];
		uint64_t first = align_down(s->p_vaddr, PAGE_BYTES);
		uint64_t end = align_up(s->p_vaddr + s->p_memsz, PAGE_BYTES);
		int prot = PROT_READ;

		if (s->p_type != PT_LOAD || end == first)
			continue;
		if (s->p_flags & PF_W && s->p_flags & PF_X)
			return -EINVAL;
		if (s->p_flags & PF_W)
			prot |= PROT_WRITE;
		if (s->p_flags & PF_X)
			prot |= PROT_EXEC;
		if (mprotect(im->base + first, end - first, prot))
			return -errno;
	}
	return 0;
}

/*
 * The number of symbols is DT_HASH's number of chains, as GNU's own table does
 * not say it; where that is not there, the symbols end where the strings begin,
 * as linkers lay them out.
 */
static uint64_t plugin_nr_symbols(const struct plugin_image *im)
{
	const uint32_t *hash = im->hash && im->hash % 4 == 0
				       ? plugin_at(im, im->hash, 8)
				       : NULL;

	if (hash)
		return hash[1];
	return im->strings > im->symbols
		       ? (im->strings - im->symbols) / sizeof(Elf64_Sym)
		       : 0;
}

static bool plugin_is_inside(const struct plugin_image *im, const void *p,
			     size_t len)
{
	uint64_t base = (uint64_t)(uintptr_t)im->base;
	uint64_t at = (uint64_t)(uintptr_t)p;

	return at >= base && range_fits(at - base, len, im->bytes);
}

static bool plugin_function_is_inside(const struct plugin_image *im,
				      uintptr_t function)
{
	return plugin_is_inside(im, (const void *)function, 1);
}

static bool plugin_text_is_inside(const struct plugin_image *im, const char *s)
{
	uint64_t left;

	if (!plugin_is_inside(im, s, 1))
		return false;
	left = im->bytes - (uint64_t)(s - (const char *)im->base);
	return strnlen(s, left) < left;
}

/* Every pointer of the policy, before one is followed. */
static bool plugin_policy_is_inside(const struct plugin_image *im,
				    const struct policy *p)
{
	if (!plugin_text_is_inside(im, p->name) ||
	    !plugin_text_is_inside(im, p->help) ||
	    p->nr_params > POLICY_MAX_PARAMS ||
	    (p->nr_params &&
	     !plugin_is_inside(im, p->params,
			       p->nr_params * sizeof(*p->params))))
		return false;
	for (uint32_t i = 0; i < p->nr_params; i++)
		if (!plugin_text_is_inside(im, p->params[i].key) ||
		    !plugin_text_is_inside(im, p->params[i].help))
			return false;
	return plugin_function_is_inside(im, (uintptr_t)p->place) &&
	       plugin_function_is_inside(im, (uintptr_t)p->page) &&
	       (!p->period ||
		plugin_function_is_inside(im, (uintptr_t)p->period)) &&
	       (!p->pay || plugin_function_is_inside(im, (uintptr_t)p->pay)) &&
	       (!p->refund ||
		plugin_function_is_inside(im, (uintptr_t)p->refund));
}

static const struct policy *plugin_find(struct plugin_image *im)
{
	uint64_t nr = plugin_nr_symbols(im);
	const struct policy *p;
	const Elf64_Sym *sym;
	const uint32_t *abi; /* the first field of any version */
	const char *name;

	for (uint64_t i = 0; i < nr && plugin_symbol(im, i, &sym, &name); i++) {
		if (sym->st_shndx == SHN_UNDEF ||
		    strcmp(name, POLICY_PLUGIN_NAME) != 0)
			continue;
		if (sym->st_value % 8)
			return NULL;
		/* Policies of an earlier version are shorter. */
		abi = plugin_at(im, sym->st_value, sizeof(*abi));
		im->other_abi = abi && *abi != POLICY_ABI;
		p = plugin_at(im, sym->st_value, sizeof(*p));
		return p && plugin_policy_is_inside(im, p) && policy_is_sound(p)
			       ? p
			       : NULL;
	}
	return NULL;
}

static int plugin_fail(const struct plugin_image *im, const char *name, int err,
		       struct diag *d)
{
	if (err == -ENOEXEC)
		return diag_fail(d, ST_CONFIG, ENOEXEC,
				 "%s: a policy needs nothing of others, and "
				 "this one needs %s",
				 name, im->missing);
	if (err == -EINVAL && im->other_abi)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: its policy is of another version of "
				 "disco/policy.h: compile it again",
				 name);
	if (err == -EINVAL)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: no shared object for x86-64 with a sound "
				 "policy called " POLICY_PLUGIN_NAME,
				 name);
	return diag_fail(d, ST_CONFIG, -err, "%s: cannot load it: %s", name,
			 strerror(-err));
}

int policy_plugin_load(struct policy_plugin *p, int fd, const char *name,
		       struct diag *d)
{
	struct plugin_image im = { 0 };
	uint8_t *file = NULL;
	int err = plugin_read(fd, &file, &im.file_bytes);

	*p = (struct policy_plugin){ 0 };
	im.file = file;
	if (!err)
		err = plugin_check(&im);
	if (!err)
		err = plugin_copy(&im);
	if (!err)
		err = plugin_dynamic(&im);
	if (!err)
		err = plugin_relocate(&im);
	if (!err)
		err = plugin_protect(&im);
	if (!err) {
		p->policy = plugin_find(&im);
		p->base = im.base;
		p->bytes = im.bytes;
		err = p->policy ? 0 : -EINVAL;
	}
	if (err) {
		err = plugin_fail(&im, name, err, d);
		if (im.base)
			(void)munmap(im.base, im.bytes);
		*p = (struct policy_plugin){ 0 };
	}
	free(file);
	return err;
}

void policy_plugin_unload(struct policy_plugin *p)
{
	if (p->base)
		(void)munmap(p->base, p->bytes);
	*p = (struct policy_plugin){ 0 };
}
