/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest cannot find by itself. Compiled by iasl at build time.
 * Numbers repeat monitor/dev/platform/layout.h (marked A there): change both.
 */
DefinitionBlock ("", "DSDT", 2, "DISCO", "DISCODST", 1)
{
	/* SLP_TYP 5 in the sleep control register: SLEEP_TYPE_S5. */
	Name (\_S5, Package () { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_SEG, 0)
			Name (_BBN, 0)
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed,
					MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite, 0,
					0xc0000000, 0xdfffffff, 0, 0x20000000)
			})
		}

		/* ECAM, so that nobody else takes its addresses. */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xe0000000, 0x100000)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					Exclusive) { 4 }
			})
		}

		/*
		 * The power button. Without fixed hardware (FADT) it is a
		 * device, and a generic event device passes its interrupt on:
		 * ACPI 6.4, 4.8.3.1.2 and 5.6.9. The interrupt has no other
		 * source, so no register has to say which one it was.
		 */
		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C"))
			Name (_UID, 0)
		}

		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					Exclusive) { 5 }
			})
			Method (_EVT, 1, Serialized)
			{
				Notify (\_SB.PWRB, 0x80)
			}
		}
	}
}
