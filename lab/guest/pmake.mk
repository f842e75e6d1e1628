# SPDX-License-Identifier: BSD-2-Clause
# The pmake workload's makefile: objects of three free libraries.
CC	= tcc
CFLAGS	= -DLTC_SOURCE -DLTC_NO_ASM -DUSE_LTM -DLTM_DESC -DARGTYPE=0 \
	  -Itommath -Itomcrypt/src/headers -Ilua/src -DLUA_USE_POSIX
OUT	= /tmp/pmake

sources	 = $(shell find $(1) -name '*.c')
objects	 = $(addprefix $(OUT)/,$(patsubst %.c,%.o,$(call sources,$(1))))

.PHONY: all lua tommath tomcrypt
all: lua tommath tomcrypt
lua: $(call objects,lua/src)
tommath: $(call objects,tommath)
tomcrypt: $(call objects,tomcrypt/src)

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<
