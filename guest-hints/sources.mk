# SPDX-License-Identifier: BSD-2-Clause
# What runs in guests: libdisco-hint (shared and static), the command
# disco-hint, the library that is preloaded, their pages, and the kernel module.
# The worker's end is a room like others (guest-hints/host).

HINT_B		:= $(B)/guest-hints
HINT_API	:= 1
HINT_LIBDIR	?= $(PREFIX)/lib
HINT_LIB_SRCS	:= $(addprefix guest-hints/guest/,open.c ring.c pages.c \
		   discard.c bulk.c driver.c)
HINT_SO		:= $(HINT_B)/libdisco-hint.so.$(HINT_API)
HINT_FILES	:= $(HINT_SO) $(HINT_B)/libdisco-hint.a $(HINT_B)/disco-hint \
		   $(HINT_B)/libdisco-hint-preload.so

# For its tests, which play both ends.
$(eval $(call room_rule,guest-hints/guest))

.PHONY: guest-hints
guest-hints: $(HINT_FILES)
all: guest-hints

# Position-independent, and nothing but the functions of disco_hint.h exported.
HINT_OBJS	:= $(HINT_LIB_SRCS:guest-hints/guest/%.c=$(HINT_B)/obj/%.o)
$(HINT_B)/obj/%.o: guest-hints/guest/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<

$(HINT_SO): $(HINT_OBJS) guest-hints/guest/exports
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro,-z,now \
		-Wl,--version-script=guest-hints/guest/exports -o $@ \
		$(HINT_OBJS)
	$(Q)ln -sf $(@F) $(HINT_B)/libdisco-hint.so

$(HINT_B)/libdisco-hint.a: $(HINT_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcsD $@ $^

# Both have the library in them: it need not be found where they run.
$(HINT_B)/disco-hint: $(HINT_B)/obj/command.o $(HINT_B)/obj/rules.o \
		$(HINT_B)/libdisco-hint.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -Wl,-z,relro,-z,now -o $@ $^

$(HINT_B)/libdisco-hint-preload.so: $(HINT_B)/obj/preload.o \
		$(HINT_B)/obj/rules.o $(HINT_B)/libdisco-hint.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro,-z,now \
		-Wl,--exclude-libs,ALL -o $@ $^

# The module, for the kernels of Debian 12 and 13. Needs the network once.
HINT_KERNELS	:= 6.1 6.12
HINT_MODULES	:= $(HINT_KERNELS:%=build/module/%/disco_hints.ko)
.PHONY: hint-modules
hint-modules: $(HINT_MODULES)
$(HINT_MODULES): build/module/%/disco_hints.ko: kernels lab/headers \
		$(wildcard guest-hints/guest/module/* guest-hints/abi/*.h)
	$(Q)lab/headers
	$(Q)if [ ! -f $@ ] || [ -n "$(filter-out kernels,$?)" ]; then \
		printf '  %-7s %s\n' MODULE $@; \
		guest-hints/guest/module/build \
			$(CURDIR)/build/headers/$*/build $(@D); \
	fi

.PHONY: install-guest-hints
install-guest-hints: guest-hints
	install -D -m 755 $(HINT_B)/disco-hint $(DESTDIR)$(PREFIX)/bin/disco-hint
	install -d $(DESTDIR)$(HINT_LIBDIR)/pkgconfig
	install -m 644 $(HINT_SO) $(HINT_B)/libdisco-hint.a \
		$(HINT_B)/libdisco-hint-preload.so $(DESTDIR)$(HINT_LIBDIR)/
	ln -sf $(notdir $(HINT_SO)) $(DESTDIR)$(HINT_LIBDIR)/libdisco-hint.so
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(HINT_LIBDIR)|' \
		-e 's|@VERSION@|$(HINT_API)|' guest-hints/guest/disco-hint.pc.in \
		>$(DESTDIR)$(HINT_LIBDIR)/pkgconfig/disco-hint.pc
	install -D -m 644 guest-hints/guest/disco_hint.h \
		$(DESTDIR)$(PREFIX)/include/disco_hint.h
	install -D -m 644 guest-hints/guest/disco-hint.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/disco-hint.1
	install -D -m 644 guest-hints/guest/disco_hint.3 \
		$(DESTDIR)$(PREFIX)/share/man/man3/disco_hint.3

# Debian packages: disco, disco-guest-hints, disco-guest-hints-dkms; what lintian
# says of them is in the output, and errors end it.
.PHONY: deb check-deb
deb: all
	$(Q)scripts/deps deb
	$(Q)scripts/deb build/deb

# They install, upgrade and go in a root of Debian 12 without anything else.
check-deb: deb
	$(Q)scripts/check-deb build/deb
