# SPDX-License-Identifier: BSD-2-Clause
# One non-recursive makefile. Programs, tests and benches have a sources.mk each.
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
# A warning is an error where the tree is judged: in make lint, and where CI is
# set in the environment. It is none elsewhere, as a compiler that is newer than
# the tree has new warnings.
WERROR	?= $(if $(CI),1,0)
ERROR	:= $(if $(filter 1,$(WERROR)),-Werror)
CFLAGS	:= -std=gnu11 -g -Wall -Wextra -Wshadow -Wconversion $(ERROR) \
	   -Wstrict-prototypes -Wmissing-prototypes -Wno-sign-conversion \
	   -fno-strict-aliasing -fno-common -MMD -MP -pthread
LDFLAGS	:= -pthread
WORKER_LDFLAGS := -static-pie

# What is compiled with, and linked with, in each variant. lint: as release, and
# compiled for its warnings alone.
ifneq ($(filter release lint,$(VARIANT)),)
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
else ifeq ($(VARIANT),fuzz)
# clang's libFuzzer, with the address and undefined behaviour sanitizers.
CC	:= clang
CFLAGS	:= $(filter-out -Werror -Wconversion -W%-prototypes,$(CFLAGS)) -O1 \
	   -Wno-unknown-warning-option -fno-omit-frame-pointer \
	   -fsanitize=fuzzer-no-link,address,undefined \
	   -fno-sanitize-recover=undefined
LDFLAGS	+= -fsanitize=address,undefined
CPPFLAGS += -DDISCO_SANITIZED -DDISCO_FUZZING
WORKER_LDFLAGS := -pie
else
$(error VARIANT=$(VARIANT): must be debug, release, asan, tsan, fuzz or lint)
endif
CFLAGS	+= -fPIE

.DELETE_ON_ERROR:
.SECONDEXPANSION:
.PHONY: all
all:

# Rooms: folders with sources, lower ones first. Each becomes one archive, of
# which a program or a test takes what it uses. Who may include whom is decided
# by this order and by scripts/lint.
ROOMS := numa memory \
	 $(addprefix memory/,sampling placement sources trace import sim replica) \
	 $(addprefix cowdisk/,base store cache disk dax) vnet guest-hints/host \
	 monitor/ipc monitor/sandbox monitor/boot \
	 monitor/bootentry monitor/bootdisk \
	 $(addprefix monitor/dev/,platform virtio net) \
	 monitor/worker/views monitor/worker/vm monitor/worker/net \
	 monitor/worker/shm monitor/worker/sampling monitor/worker/huge \
	 monitor/worker \
	 monitor/agent/placing monitor/agent monitor/uplink \
	 $(addprefix monitor/control/,base console config disks doctor workers \
	 nets segments placer launch run guests exec restart api cli cluster \
	 study) monitor/control

.PHONY: rooms
rooms:
	@printf '%s\n' $(ROOMS)

# Generated: AML from ASL, seccomp filters from their list, the version.
G	:= build/gen
CPPFLAGS += -I$(G)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
# A room's sources: all but the programs' main() and generators.
srcs = $(filter-out %/main.c $(1)/gen_%,$(wildcard $(1)/*.c))
# The archives of rooms: $(call lib,numa memory)
lib = $(foreach r,$(1),$(B)/lib/$(subst /,-,$(r)).a)
# To link with rooms, in any order, and with the libraries that they use.
# liburing: the shared one of Debian 12 lacks io_uring_enable_rings().
# libnuma.a: its system calls alone. The member that has them refers to one
# function of the rest, by what is not called here; were it resolved, the rest
# would come with it, and with it a constructor that reads sysfs at each start.
NUMAIF := -Wl,--defsym=numa_bitmask_nbytes=0 -l:libnuma.a
LIBS := -Wl,--as-needed -lm -lext2fs -lcom_err -lhwloc -ljansson -llzma -lzstd -llz4 -lz \
	-lncursesw -ltinfo -l:liburing.a $(NUMAIF)
STATIC_LIBS := -l:liburing.a $(NUMAIF)
in_group = -Wl,--start-group $(1) -Wl,--end-group

define room_rule
$(call lib,$(1)): $(call obj,$(call srcs,$(1)))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && $$(AR) rcsD $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

PREFIX	?= /usr/local
include monitor/sources.mk guest-hints/sources.mk tests/sources.mk tests/guest/sources.mk \
	bench/sources.mk lab/sources.mk scripts/sources.mk

$(B)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: clean distclean
clean:
	rm -rf build/debug build/release build/asan build/tsan build/fuzz \
		build/lint
distclean:
	rm -rf build
