/* SPDX-License-Identifier: GPL-2.0-only */
/* The flat device tree as its library reads it; Linux: scripts/dtc/libfdt/libfdt.h, fdt.h */
#pragma once

#include <linux/types.h>
#include <asm/byteorder.h>

typedef __be16 fdt16_t;
typedef __be32 fdt32_t;
typedef __be64 fdt64_t;

#define fdt16_to_cpu(x) be16_to_cpu(x)
#define fdt32_to_cpu(x) be32_to_cpu(x)
#define fdt64_to_cpu(x) be64_to_cpu(x)
#define cpu_to_fdt32(x) cpu_to_be32(x)
#define cpu_to_fdt64(x) cpu_to_be64(x)

/* Devicetree Specification 0.4, 5.2 to 5.4. */
struct fdt_header {
	fdt32_t magic;
	fdt32_t totalsize;
	fdt32_t off_dt_struct;
	fdt32_t off_dt_strings;
	fdt32_t off_mem_rsvmap;
	fdt32_t version;
	fdt32_t last_comp_version;
	fdt32_t boot_cpuid_phys;
	fdt32_t size_dt_strings;
	fdt32_t size_dt_struct;
};

struct fdt_reserve_entry {
	fdt64_t address;
	fdt64_t size;
};

struct fdt_property {
	fdt32_t tag;
	fdt32_t len;
	fdt32_t nameoff;
	char data[];
};

#define FDT_MAGIC 0xd00dfeed
#define FDT_BEGIN_NODE 0x1
#define FDT_END_NODE 0x2
#define FDT_PROP 0x3
#define FDT_NOP 0x4
#define FDT_END 0x9
#define FDT_FIRST_SUPPORTED_VERSION 0x02
#define FDT_LAST_SUPPORTED_VERSION 0x11

/* Where a function returns an offset, it returns one of these, negated, if it fails. */
#define FDT_ERR_NOTFOUND 1
#define FDT_ERR_EXISTS 2
#define FDT_ERR_NOSPACE 3
#define FDT_ERR_BADOFFSET 4
#define FDT_ERR_BADPATH 5
#define FDT_ERR_BADPHANDLE 6
#define FDT_ERR_BADSTATE 7
#define FDT_ERR_TRUNCATED 8
#define FDT_ERR_BADMAGIC 9
#define FDT_ERR_BADVERSION 10
#define FDT_ERR_BADSTRUCTURE 11
#define FDT_ERR_BADLAYOUT 12
#define FDT_ERR_INTERNAL 13
#define FDT_ERR_BADNCELLS 14
#define FDT_ERR_BADVALUE 15

#define fdt_get_header(fdt, field) fdt32_to_cpu(((const struct fdt_header *)(fdt))->field)
#define fdt_magic(fdt) fdt_get_header(fdt, magic)
#define fdt_totalsize(fdt) fdt_get_header(fdt, totalsize)
#define fdt_off_dt_struct(fdt) fdt_get_header(fdt, off_dt_struct)
#define fdt_off_dt_strings(fdt) fdt_get_header(fdt, off_dt_strings)
#define fdt_off_mem_rsvmap(fdt) fdt_get_header(fdt, off_mem_rsvmap)
#define fdt_version(fdt) fdt_get_header(fdt, version)
#define fdt_last_comp_version(fdt) fdt_get_header(fdt, last_comp_version)
#define fdt_boot_cpuid_phys(fdt) fdt_get_header(fdt, boot_cpuid_phys)
#define fdt_size_dt_strings(fdt) fdt_get_header(fdt, size_dt_strings)
#define fdt_size_dt_struct(fdt) fdt_get_header(fdt, size_dt_struct)

int fdt_check_header(const void *fdt);
int fdt_num_mem_rsv(const void *fdt);
int fdt_get_mem_rsv(const void *fdt, int n, u64 *address, u64 *size);

int fdt_path_offset(const void *fdt, const char *path);
int fdt_subnode_offset(const void *fdt, int parent, const char *name);
int fdt_first_subnode(const void *fdt, int node);
int fdt_next_subnode(const void *fdt, int node);
int fdt_next_node(const void *fdt, int node, int *depth);
int fdt_parent_offset(const void *fdt, int node);
int fdt_node_offset_by_compatible(const void *fdt, int start, const char *compatible);
int fdt_node_offset_by_phandle(const void *fdt, u32 phandle);
int fdt_node_check_compatible(const void *fdt, int node, const char *compatible);
const char *fdt_get_name(const void *fdt, int node, int *length);
u32 fdt_get_phandle(const void *fdt, int node);
const void *fdt_getprop(const void *fdt, int node, const char *name, int *length);
int fdt_first_property_offset(const void *fdt, int node);
int fdt_next_property_offset(const void *fdt, int offset);
const void *fdt_getprop_by_offset(const void *fdt, int offset, const char **name, int *length);
const char *fdt_get_alias(const void *fdt, const char *name);
int fdt_node_depth(const void *fdt, int node);
int fdt_address_cells(const void *fdt, int node);
int fdt_size_cells(const void *fdt, int node);
const char *fdt_strerror(int error);

#define fdt_for_each_property_offset(property, fdt, node) \
	for (property = fdt_first_property_offset(fdt, node); property >= 0; \
	     property = fdt_next_property_offset(fdt, property))
#define fdt_for_each_subnode(node, fdt, parent) \
	for (node = fdt_first_subnode(fdt, parent); node >= 0; node = fdt_next_subnode(fdt, node))
