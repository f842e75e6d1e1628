/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for KVM and for kernels (kvm_open.h, boot_image.h): any file is a
 * kernel, but "/missing" does not exist, and "/slow" is never read to its end.
 * A test that includes this file links fake_boot.c in place of the real ones.
 */
#ifndef TESTS_UNIT_GUESTS_FAKE_BOOT_H
#define TESTS_UNIT_GUESTS_FAKE_BOOT_H

#include "monitor/boot/boot_image.h"
#include "monitor/control/workers/kvm_open.h"

#endif
