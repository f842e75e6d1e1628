/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_BOOTENTRY_VERSION_ORDER_H
#define DISCO_BOOTENTRY_VERSION_ORDER_H

/**
 * version_compare() - which of two versions is newer?
 *
 * Return: < 0, 0, > 0 as strcmp(). "6.1.0-9" is before "6.1.0-18", "6.1~rc1"
 * before "6.1". Source: UAPI group, "Version Format Specification".
 */
int version_compare(const char *a, const char *b);

#endif
