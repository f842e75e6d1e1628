# SPDX-License-Identifier: BSD-2-Clause
# Checks of the source, and its format.

.PHONY: lint do-lint format
lint:
	$(Q)scripts/deps build lint
	$(Q)$(MAKE) --no-print-directory do-$@
# Headers and manual pages that are generated have to be there to be read.
do-lint: $$(G)/dsdt.hex $$(G)/seccomp_filters.h $$(G)/version.h $$(MAN_PAGES)
	$(Q)scripts/lint

format:
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | \
		xargs clang-format -i
