/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of one of the variants that tests/model/mutate makes of a text. */
#ifndef TESTS_MODEL_VARIANT_H
#define TESTS_MODEL_VARIANT_H

#pragma GCC diagnostic ignored "-Wconversion" /* see numa/atomic_ops.h */
#define MODEL_JOIN_(a, b) a##_##b
#define MODEL_JOIN(a, b)  MODEL_JOIN_(a, b)
#define MODEL_NAME(name)  MODEL_JOIN(name, MODEL_VARIANT)

#endif
