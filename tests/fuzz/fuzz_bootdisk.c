/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks with boot entries. The first byte says what the input is: a script of
 * GRUB; an entry of the Boot Loader Specification; a disk, as it is; or changes
 * to a vfat with an entry, or to a disk with a partition table and an ext4 that
 * has entries of all kinds.
 * Checked: what is found is inside its bounds and its texts end; what is not has
 * a reason of one line; not more is read than the budget allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/bootentry/bls.h"
#include "monitor/bootdisk/boot_disk.h"
#include "monitor/bootentry/grub_cfg.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"
#include "tests/unit/bootdisk/disk_in_memory.h"

#define DISK_BYTES (640u << 10)
#define FS_AT	   (64u << 10)
#define BUDGET	   (16u << 20)

#define FAT_BYTES (128u << 10)

static uint8_t good[DISK_BYTES], good_fat[FAT_BYTES];

static const char make_fat[] =
	"set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; cd $d; mkdir -p "
	"loader/entries; head -c 3000 /dev/zero >linux; printf 'linux /linux\n"
	"initrd /a-long-name-of-an-initrd\n' >loader/entries/a.conf; truncate "
	"-s 128K disk; mkfs.vfat -F 12 -s 1 -i 12345678 --invariant disk "
	">/dev/null; mcopy -i disk linux ::; mcopy -i disk linux "
	"::/a-long-name-of-an-initrd; mcopy -s -i disk loader ::; cat disk";

static const char make_disk[] =
	"set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; cd $d; mkdir -p "
	"t/boot/grub t/loader/entries; echo kernel >t/boot/vmlinuz-6.1; "
	"echo initrd >t/boot/initrd-6.1; ln -s boot/vmlinuz-6.1 t/vmlinuz; "
	"ln -s boot/initrd-6.1 t/initrd.img; "
	"printf 'title T\\nversion 6.1\\nlinux /boot/vmlinuz-6.1\\ninitrd "
	"/boot/initrd-6.1\\noptions ro\\n' >t/loader/entries/a.conf; "
	"printf 'menuentry x {\\nlinux /boot/vmlinuz-6.1 ro\\n}\\n' "
	">t/boot/grub/grub.cfg; truncate -s 640K disk; mke2fs -q -t ext4 -b "
	"1024 "
	"-I 128 -N 32 -O ^has_journal,^resize_inode -d t -E offset=65536 disk "
	"512k; printf 'label: dos\\nstart=128, size=1024\\n' | sfdisk -q "
	"--no-reread --no-tell-kernel disk; cat disk";

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void make_good(const char *command, uint8_t *to, size_t bytes)
{
	FILE *f = popen(command, "r");

	must(f && fread(to, 1, bytes, f) == bytes);
	must(pclose(f) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_good(make_disk, good, sizeof(good));
	make_good(make_fat, good_fat, sizeof(good_fat));
	return 0;
}

static bool ends_in(const char *text, size_t size)
{
	return memchr(text, '\0', size);
}

static void check_item(const struct boot_item *item)
{
	must(*item->kernel && ends_in(item->kernel, BOOT_PATH_MAX));
	must(item->nr_initrds <= BOOT_MAX_INITRDS);
	for (unsigned i = 0; i < item->nr_initrds; i++)
		must(ends_in(item->initrds[i], BOOT_PATH_MAX));
	must(ends_in(item->cmdline, sizeof(item->cmdline)));
	must(ends_in(item->title, sizeof(item->title)));
	must(ends_in(item->device, sizeof(item->device)));
}

/* --- texts --- */

static void fuzz_grub(char *text)
{
	struct boot_item item;
	const char *why = NULL;
	int err = grub_cfg_default(text, "saved_entry=1>0\n", &item, &why);

	if (err)
		must((err == -EBADMSG || err == -ENOENT) && why && *why);
	else
		check_item(&item);
}

static void fuzz_bls(char *text)
{
	static struct bls_entry e;
	int err = bls_parse("a+1.conf", text, "kernelopts=x\n", &e);

	must(err == 0 || err == -ENOENT || err == -E2BIG);
	if (!err)
		check_item(&e.item);
}

static void fuzz_text(struct bytes *b, void (*each)(char *text))
{
	char *text = malloc(b->n + 1);

	must(text);
	memcpy(text, b->p, b->n);
	text[b->n] = '\0';
	each(text);
	free(text);
}

/* --- disks --- */

struct count_sink {
	struct boot_sink sink;
	uint64_t bytes;
};

static int count_put(struct boot_sink *s, const void *data, size_t bytes)
{
	struct count_sink *c = container_of(s, struct count_sink, sink);

	/* A buffer that is shorter than it says is seen. */
	if (bytes)
		(void)((const volatile uint8_t *)data)[bytes - 1];
	c->bytes += bytes;
	/* What is a hole costs no read: the reader has a limit of time. */
	return c->bytes > MIB(64) ? -EFBIG : 0;
}

static void check_found(struct boot_disk *b, const struct boot_found *f,
			struct diag *d)
{
	struct count_sink kernel = { { count_put }, 0 };
	struct count_sink initrd = { { count_put }, 0 };

	check_item(&f->item);
	must(f->kernel_bytes > 0 && f->kernel_bytes <= BOOT_KERNEL_MAX);
	must(f->initrd_bytes <= BOOT_INITRD_MAX);
	must(ends_in(f->entry, sizeof(f->entry)));
	if (boot_disk_copy(b, f, &kernel.sink, &initrd.sink, d))
		return;
	must(kernel.bytes == f->kernel_bytes);
	must(initrd.bytes == f->initrd_bytes);
}

static void fuzz_disk(const uint8_t *data, size_t bytes)
{
	static struct boot_found found;
	struct diag d = { .status = ST_OK };
	struct disk_in_memory m;
	struct boot_disk *b = NULL;
	int err;

	disk_in_memory_init(&m, data, bytes, BUDGET);
	err = boot_disk_open(&m.v, &b, &d);
	if (!err)
		err = boot_disk_find(b, &found, &d);
	if (!err)
		check_found(b, &found, &d);
	if (err)
		must(d.status != ST_OK && *d.text);
	boot_disk_close(b);
}

/* Most of a disk is zeroes; the first KiBs of a file system count. */
static void fuzz_changes(struct bytes *b, const uint8_t *of, size_t bytes,
			 size_t fs_at)
{
	uint8_t *disk = malloc(bytes);

	must(disk);
	memcpy(disk, of, bytes);
	while (b->n) {
		uint64_t at = take(b, 3), width = take(b, 1);
		uint64_t value = take(b, width % 8 + 1);

		at = width & 0x80   ? at % 512
		     : width & 0x40 ? fs_at + at % (40u << 10)
				    : at % bytes;
		for (unsigned i = 0; i <= width % 8; i++)
			if (at + i < bytes)
				disk[at + i] = (uint8_t)(value >> 8 * i);
	}
	fuzz_disk(disk, bytes);
	free(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	switch (take(&b, 1) % 5) {
	case 0:
		fuzz_text(&b, fuzz_grub);
		break;
	case 1:
		fuzz_text(&b, fuzz_bls);
		break;
	case 2:
		fuzz_disk(b.p, b.n);
		break;
	case 3:
		fuzz_changes(&b, good_fat, sizeof(good_fat), 0);
		break;
	default:
		fuzz_changes(&b, good, sizeof(good), FS_AT);
		break;
	}
	return 0;
}
