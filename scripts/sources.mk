# SPDX-License-Identifier: BSD-2-Clause
# Checks of the source, and its format; of a machine that has nothing yet; what a
# machine with KVM is like.

.PHONY: lint do-lint format warnings check-fresh hardware-report
lint:
	$(Q)scripts/deps build lint
	$(Q)$(MAKE) --no-print-directory do-$@
# Headers and manual pages that are generated have to be there to be read.
do-lint: $$(G)/dsdt.hex $$(G)/seccomp_filters.h $$(G)/version.h $$(MAN_PAGES)
	$(Q)scripts/lint

# What scripts/lint compiles, in a variant of its own, for gcc's warnings: all
# that is C here, but for the fuzz tests, which are for clang.
C_DIRS := $(ROOMS) bench lab tests/lab tests/crash tests/model \
	  $(sort $(dir $(wildcard tests/unit/*/*.c)))
warnings: $(call obj,$(wildcard $(C_DIRS:%=%/*.c))) guests

# Where bare systems are made, and which: see scripts/check-fresh --help.
check-fresh:
	$(Q)scripts/deps fresh
	$(Q)scripts/check-fresh $(FRESH)

hardware-report:
	$(Q)scripts/deps bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scripts/hardware-report --disco $(B)/disco \
		$(BENCHES:%=--bench %)

format:
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | \
		xargs clang-format -i
