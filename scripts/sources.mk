# SPDX-License-Identifier: BSD-2-Clause
# Checks of the source, and its format.

.PHONY: lint format
# Headers that are generated have to be there to be included.
lint: $$(G)/dsdt.hex $$(G)/seccomp_filters.h $$(G)/version.h
	$(Q)scripts/deps lint
	$(Q)scripts/lint

format:
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | \
		xargs clang-format -i
