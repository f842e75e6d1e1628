# SPDX-License-Identifier: BSD-2-Clause
# One non-recursive makefile. Each folder names its sources in sources.mk.
# Output: build/<variant>/; V=1 shows commands; VARIANT=debug|release|asan|tsan

VARIANT	?= release
V	?= 0
B	:= build/$(VARIANT)
CC	?= gcc
ifeq ($(origin CC),default)
CC	:= gcc
endif

ifeq ($(V),0)
Q	:= @
say	= @printf '  %-7s %s\n' '$(1)' '$(patsubst $(CURDIR)/%,%,$(2))'
else
Q	:=
say	= @:
endif

VERSION	:= $(shell git describe --always --dirty 2>/dev/null || echo unknown)

CPPFLAGS := -I. -Iinclude -D_GNU_SOURCE
CFLAGS	:= -std=gnu11 -g -Wall -Wextra -Wshadow -Wconversion -Werror \
	   -Wstrict-prototypes -Wmissing-prototypes -Wno-sign-conversion \
	   -fno-strict-aliasing -fno-common -MMD -MP -pthread
LDFLAGS	:= -pthread
WORKER_LDFLAGS := -static-pie

ifeq ($(VARIANT),release)
CFLAGS	+= -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
else ifeq ($(VARIANT),debug)
CFLAGS	+= -O0
else ifeq ($(VARIANT),asan)
CC	:= clang
CFLAGS	+= -Wno-gnu-variable-sized-type-not-at-end \
	   -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	   -fno-omit-frame-pointer
LDFLAGS	+= -fsanitize=address,undefined
CPPFLAGS += -DDISCO_SANITIZED
WORKER_LDFLAGS := -pie
else ifeq ($(VARIANT),tsan)
# gcc has it, clang need not be there. -Wno-tsan: what only a fence orders it
# takes for a race, and warns of that.
CC	:= gcc
CFLAGS	+= -O1 -fsanitize=thread -Wno-tsan
LDFLAGS	+= -fsanitize=thread
CPPFLAGS += -DDISCO_SANITIZED
WORKER_LDFLAGS := -pie
else
$(error VARIANT=$(VARIANT): must be debug, release, asan or tsan)
endif
CFLAGS	+= -fPIE

.DELETE_ON_ERROR:
.SECONDEXPANSION:
.PHONY: all
all:

# Folder fragments append to these. Programs and their libraries are named in
# monitor/sources.mk.
NUMA_SRCS	:=
MEMORY_SRCS	:=
COWDISK_SRCS	:=
BOOT_SRCS	:=
CONTROL_SRCS	:=
WORKER_SRCS	:=
AGENT_SRCS	:=

# Generated: AML from ASL, seccomp filters from their list, the version.
G	:= build/gen
CPPFLAGS += -I$(G)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

include $(wildcard numa/sources.mk memory/sources.mk cowdisk/sources.mk \
	monitor/sources.mk tests/sources.mk tests/guest/sources.mk \
	bench/sources.mk lab/sources.mk scripts/sources.mk)

$(B)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: clean distclean
clean:
	rm -rf build/debug build/release build/asan build/tsan build/fuzz
distclean:
	rm -rf build
