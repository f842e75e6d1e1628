/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define PVH_NOTE    18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define MAX_HEADERS 64u
#define MAX_NOTES   256u

struct elf_file {
	const uint8_t *at;
	size_t bytes;
};

static int elf_image_refuse(const char **why, int err, const char *text)
{
	*why = text;
	return -err;
}

bool elf_is(const uint8_t *file, size_t bytes)
{
	return bytes >= SELFMAG && memcmp(file, ELFMAG, SELFMAG) == 0;
}

static int check_header(const struct elf_file *f, Elf64_Ehdr *h,
			const char **why)
{
	if (f->bytes < sizeof(*h))
		return elf_image_refuse(why, EBADMSG,
					"it ends in its ELF header");
	memcpy(h, f->at, sizeof(*h));
	if (!elf_is(f->at, f->bytes) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64 ||
	    (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return elf_image_refuse(why, ENOTSUP,
					"not an x86-64 executable");
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 ||
	    h->e_phnum > MAX_HEADERS ||
	    !range_fits(h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr), f->bytes))
		return elf_image_refuse(why, EBADMSG,
					"its program headers are broken");
	return 0;
}

static int add_segment(const struct elf_file *f, const Elf64_Phdr *p,
		       struct elf_image *e, const char **why)
{
	struct elf_segment *s = &e->segments[e->nr_segments];

	if (p->p_memsz == 0)
		return 0;
	if (p->p_filesz > p->p_memsz ||
	    !range_fits(p->p_offset, p->p_filesz, f->bytes))
		return elf_image_refuse(why, EBADMSG,
					"it is shorter than its headers say");
	if (p->p_paddr < BOOT_LOW_END ||
	    !range_fits(p->p_paddr, p->p_memsz, BOOT_IMAGE_MAX))
		return elf_image_refuse(why, EBADMSG,
					"a segment has no place in memory");
	if (e->nr_segments == ELF_MAX_SEGMENTS)
		return elf_image_refuse(why, EBADMSG,
					"it has too many segments");
	if (p->p_paddr < e->end)
		return elf_image_refuse(
			why, EBADMSG,
			"its segments overlap or are not in order");
	*s = (struct elf_segment){ p->p_offset, p->p_paddr, p->p_filesz,
				   p->p_memsz };
	e->end = p->p_paddr + p->p_memsz;
	e->nr_segments++;
	return 0;
}

/* One note: name "Xen", type 18, a 4 or 8 byte address. */
static void take_note(const Elf64_Nhdr *n, const uint8_t *name,
		      const uint8_t *desc, struct elf_image *e)
{
	uint64_t entry = 0;

	if (n->n_type != PVH_NOTE || n->n_namesz != 4 ||
	    memcmp(name, "Xen", 4) != 0 ||
	    (n->n_descsz != 4 && n->n_descsz != sizeof(entry)))
		return;
	memcpy(&entry, desc, n->n_descsz);
	e->has_pvh = true;
	e->pvh_entry = entry;
}

static int read_notes(const struct elf_file *f, const Elf64_Phdr *p,
		      struct elf_image *e, const char **why)
{
	uint64_t at = p->p_offset, end = p->p_offset + p->p_filesz;
	Elf64_Nhdr n;

	if (!range_fits(p->p_offset, p->p_filesz, f->bytes))
		return elf_image_refuse(why, EBADMSG,
					"its notes lie outside it");
	for (unsigned i = 0; i < MAX_NOTES && end - at >= sizeof(n); i++) {
		uint64_t name = at + sizeof(n), desc, next;

		memcpy(&n, f->at + at, sizeof(n));
		desc = name + align_up(n.n_namesz, 4);
		next = desc + align_up(n.n_descsz, 4);
		if (next > end)
			return elf_image_refuse(why, EBADMSG,
						"its notes are broken");
		take_note(&n, f->at + name, f->at + desc, e);
		at = next;
	}
	return 0;
}

static bool in_segment(const struct elf_image *e, uint64_t at)
{
	for (unsigned i = 0; i < e->nr_segments; i++) {
		const struct elf_segment *s = &e->segments[i];

		if (at >= s->gpa && at - s->gpa < s->file_bytes)
			return true;
	}
	return false;
}

int elf_parse(const uint8_t *file, size_t bytes, struct elf_image *out,
	      const char **why)
{
	const struct elf_file f = { file, bytes };
	struct elf_image e = { 0 };
	Elf64_Ehdr h;
	int err = check_header(&f, &h, why);

	for (unsigned i = 0; !err && i < h.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, file + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD)
			err = add_segment(&f, &p, &e, why);
		else if (p.p_type == PT_NOTE)
			err = read_notes(&f, &p, &e, why);
	}
	if (err)
		return err;
	e.entry = h.e_entry;
	if (!in_segment(&e, e.entry) ||
	    (e.has_pvh && !in_segment(&e, e.pvh_entry)))
		return elf_image_refuse(why, EBADMSG,
					"its entry is not in a segment");
	*out = e;
	return 0;
}
