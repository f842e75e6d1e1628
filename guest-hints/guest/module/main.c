// SPDX-License-Identifier: GPL-2.0-or-later
/* The driver of the device, and /dev/disco-hints. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "disco_hints.h"

/*
 * A guest has one such device. Who uses it holds the semaphore for reading, so
 * that it does not go meanwhile; without one, files that are still open fail.
 */
static DECLARE_RWSEM(hints_sem);
static struct hints_device *hints_device; /* [L:hints_sem] */

/* --- requests ----------------------------------------------------------------- */

static int request_check(const struct hints_request *r, bool discards)
{
	if (!hints_kind_is_safe(r->kind) &&
	    !(discards && hints_kind_discards(r->kind)))
		return -EINVAL;
	if ((r->start | r->bytes) & (HINTS_PAGE_BYTES - 1) ||
	    r->start + r->bytes < r->start)
		return -EINVAL;
	if (r->kind == HINTS_PRIVATE && r->vcpu >= nr_cpu_ids)
		return -EINVAL;
	return 0;
}

static int request_range(struct hints_device *dev, struct hints_request *r)
{
	int err = request_check(r, true);

	return err ? err : hints_hint_range(dev, r);
}

static int request_file(struct hints_device *dev, struct hints_request *r)
{
	int err = request_check(r, false);

	if (!err && r->kind == HINTS_PRIVATE)
		err = -EINVAL;
	return err ? err : hints_hint_file(dev, r);
}

static int request_phase(struct hints_device *dev, struct hints_request *r)
{
	const struct hints_entry e = { .kind = r->kind,
				       .vcpu = HINTS_ANY_VCPU,
				       .arg = r->arg };

	if (r->kind != HINTS_PHASE_BEGIN && r->kind != HINTS_PHASE_END)
		return -EINVAL;
	if (!hints_budget_take())
		return -EDQUOT;
	return hints_ring_push(dev, &e, 1);
}

static int request_frames(struct hints_device *dev, struct hints_request *r)
{
	struct hints_entry e = { .page = r->start / HINTS_PAGE_BYTES,
				 .pages = r->bytes / HINTS_PAGE_BYTES,
				 .kind = r->kind,
				 .vcpu = r->kind == HINTS_PRIVATE
						 ? r->vcpu
						 : HINTS_ANY_VCPU };
	int err = request_check(r, false);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!err &&
	    (!r->bytes || r->bytes / HINTS_PAGE_BYTES > HINTS_MAX_PAGES))
		err = -EINVAL;
	return err ? err : hints_ring_push(dev, &e, 1);
}

static int request_bulk(struct hints_device *dev, void __user *arg)
{
	struct hints_bulk b;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&b, arg, sizeof(b)))
		return -EFAULT;
	if (b.zero ||
	    (b.what != HINTS_BULK_PAGE_TABLES && b.what != HINTS_BULK_FREE))
		return -EINVAL;
	err = hints_hint_bulk(dev, &b);
	if (copy_to_user(arg, &b, sizeof(b)))
		return -EFAULT;
	return err;
}

static int request_by(struct hints_device *dev, void __user *arg,
		      int (*what)(struct hints_device *dev,
				  struct hints_request *r))
{
	struct hints_request r;
	int err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	r.done = 0;
	err = what(dev, &r);
	if (copy_to_user(arg, &r, sizeof(r)))
		return -EFAULT;
	return err;
}

static int hints_request(struct hints_device *dev, unsigned int cmd,
			 void __user *arg)
{
	switch (cmd) {
	case HINTS_IOC_RANGE:
		return request_by(dev, arg, request_range);
	case HINTS_IOC_FILE:
		return request_by(dev, arg, request_file);
	case HINTS_IOC_PHASE:
		return request_by(dev, arg, request_phase);
	case HINTS_IOC_FRAMES:
		return request_by(dev, arg, request_frames);
	case HINTS_IOC_BULK:
		return request_bulk(dev, arg);
	case HINTS_IOC_FLUSH:
		return hints_ring_flush(dev, true);
	default:
		return -ENOTTY;
	}
}

/* --- the file ------------------------------------------------------------------- */

static long hints_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int err = -ENODEV;

	down_read(&hints_sem);
	if (hints_device)
		err = hints_request(hints_device, cmd, (void __user *)arg);
	up_read(&hints_sem);
	return err;
}

static ssize_t hints_read(struct file *file, char __user *to, size_t bytes,
			  loff_t *at)
{
	ssize_t n = -ENODEV;

	down_read(&hints_sem);
	if (hints_device)
		n = simple_read_from_buffer(to, bytes, at, hints_device->info,
					    HINTS_INFO_BYTES);
	up_read(&hints_sem);
	return n;
}

static const struct file_operations hints_fops = {
	.owner = THIS_MODULE,
	.read = hints_read,
	.llseek = default_llseek,
	.unlocked_ioctl = hints_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice hints_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = HINTS_DEVICE_NAME,
	.fops = &hints_fops,
	.mode = 0666,
};

/* --- the device ----------------------------------------------------------------- */

static void hints_unmap(struct hints_device *dev)
{
	if (dev->ring)
		memunmap(dev->ring);
	if (dev->info)
		memunmap(dev->info);
	if (dev->regs)
		iounmap(dev->regs);
}

static int hints_map(struct hints_device *dev)
{
	resource_size_t bar = pci_resource_start(dev->pdev, 0);

	if (pci_resource_len(dev->pdev, 0) != HINTS_BAR_BYTES)
		return -ENODEV;
	dev->regs = ioremap(bar, PAGE_SIZE);
	dev->info =
		memremap(bar + HINTS_INFO_AT, HINTS_INFO_BYTES, MEMREMAP_WB);
	dev->ring =
		memremap(bar + HINTS_TAIL_AT, HINTS_RING_BYTES, MEMREMAP_WB);
	if (!dev->regs || !dev->info || !dev->ring)
		return -ENOMEM;
	if (ioread32(dev->regs + HINTS_REG_MAGIC) != HINTS_MAGIC ||
	    ioread32(dev->regs + HINTS_REG_VERSION) != HINTS_VERSION)
		return -ENODEV;
	return hints_ring_start(dev);
}

static int hints_register(struct hints_device *dev)
{
	int err = -EBUSY;

	down_write(&hints_sem);
	if (!hints_device) {
		err = misc_register(&hints_misc);
		if (!err)
			hints_device = dev;
	}
	up_write(&hints_sem);
	return err;
}

static int hints_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct hints_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return -ENOMEM;
	dev->pdev = pdev;
	mutex_init(&dev->lock);
	err = pci_enable_device_mem(pdev);
	if (err)
		goto no_device;
	err = pci_request_regions(pdev, "disco_hints");
	if (err)
		goto no_regions;
	err = hints_map(dev);
	if (!err)
		err = hints_register(dev);
	if (err)
		goto no_map;
	pci_set_drvdata(pdev, dev);
	return 0;
no_map:
	hints_unmap(dev);
	pci_release_regions(pdev);
no_regions:
	pci_disable_device(pdev);
no_device:
	kfree(dev);
	return err;
}

static void hints_remove(struct pci_dev *pdev)
{
	struct hints_device *dev = pci_get_drvdata(pdev);

	down_write(&hints_sem);
	hints_device = NULL;
	up_write(&hints_sem);
	misc_deregister(&hints_misc);
	hints_unmap(dev);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	kfree(dev);
}

static const struct pci_device_id hints_ids[] = {
	{ PCI_DEVICE(HINTS_PCI_VENDOR, HINTS_PCI_DEVICE) },
	{ 0 },
};
MODULE_DEVICE_TABLE(pci, hints_ids);

static struct pci_driver hints_driver = {
	.name = "disco_hints",
	.id_table = hints_ids,
	.probe = hints_probe,
	.remove = hints_remove,
};
module_pci_driver(hints_driver);

MODULE_DESCRIPTION("Hints of a guest of Disco about its memory");
MODULE_AUTHOR("The Disco authors");
MODULE_LICENSE("GPL");
