"""What a driver may well name and bootsim does not serve, and why: said where it is linked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SLAB = "the slab allocator comes up after mem_init(): use memblock, or __get_free_pages()"
_VMALLOC = "vmalloc_init() comes after mem_init(): use memblock, or __get_free_pages()"
_IOREMAP = "it needs the slab allocator, which comes up after mem_init(): use early_ioremap()"
_CALLED = "the kernel calls it by itself: hook a driver behind it"
_TREE = (
    "the tree is unflattened for drivers that come later: use of_scan_flat_dt() or fdt_*() on"
    " initial_boot_params"
)
_DEVICES = "the boot ends before there are devices"
_FILES = "the boot ends before there are files"
_TASKS = "the boot ends before there are tasks to switch to"
_LOCKS = "nothing runs beside the driver this early: leave the lock out"
_TIME = "the boot ends before time_init(): time stands still"
_INTERRUPTS = "the boot ends before init_IRQ()"
_CPUS = "one CPU is modelled, and it is the boot CPU"
_RESOURCES = "setup_arch() requests resources after paging_init(): they are not modelled"


def _names(reason: str, *lines: str) -> dict[str, str]:
    return dict.fromkeys(" ".join(lines).split(), reason)


MISSING: Mapping[str, str] = MappingProxyType(
    {
        # Memory that comes later.
        **_names(
            _SLAB,
            "kmalloc __kmalloc kzalloc kcalloc kmalloc_array krealloc kfree kmalloc_caches",
            "kmem_cache_create kmem_cache_alloc kmem_cache_alloc_trace kmem_cache_free",
            "kmalloc_trace kmalloc_order_trace kmalloc_large kstrdup kmemdup kasprintf",
        ),
        **_names(_VMALLOC, "vmalloc vzalloc __vmalloc vfree vmap vunmap kvmalloc_node kvfree"),
        **_names(_IOREMAP, "ioremap __arm_ioremap ioremap_wc ioremap_cache iounmap memremap"),
        **_names(_RESOURCES, "iomem_resource insert_resource request_resource __request_region"),
        **_names(_DEVICES, "dma_alloc_coherent dma_alloc_attrs dma_free_attrs"),
        **_names(
            "areas of CMA are opened by an initcall, cma_init_reserved_areas()",
            "cma_alloc cma_release dma_alloc_from_contiguous",
        ),
        **_names(
            "areas of CMA are declared by the device tree and cma= alone",
            "cma_declare_contiguous cma_declare_contiguous_nid dma_contiguous_reserve_area",
            "cma_get_base cma_get_size cma_get_name dma_contiguous_default_area",
        ),
        **_names(
            "percpu areas come after setup_arch(), in setup_per_cpu_areas()",
            "__alloc_percpu free_percpu __per_cpu_offset __per_cpu_start",
        ),
        **_names(
            "kmap_init() has no page table to work on: use pages of lowmem",
            "kmap kmap_high kmap_atomic kunmap kunmap_atomic pkmap_page_table",
        ),
        # What the boot itself does.
        **_names(
            _CALLED,
            "start_kernel setup_arch setup_machine_fdt early_init_dt_scan_nodes",
            "early_init_dt_scan_memory early_init_fdt_scan_reserved_mem arm_memblock_init",
            "adjust_lowmem_bounds dma_contiguous_reserve paging_init bootmem_init mem_init",
            "parse_early_param parse_early_options unflatten_device_tree",
        ),
        **_names("mem_init() calls it, and only once", "memblock_free_all free_all_bootmem"),
        **_names("paging_init() makes the mappings: early_memremap() adds one", "iotable_init"),
        # The device tree as devices see it.
        **_names(
            _TREE,
            "of_root of_chosen of_aliases of_find_node_by_path of_find_node_opts_by_path",
            "of_find_node_by_name of_find_node_by_type of_find_compatible_node",
            "of_find_node_by_phandle of_get_parent of_get_next_child of_get_child_by_name",
            "of_find_property of_get_property of_property_read_string of_property_count_elems",
            "of_property_read_u32_index of_property_read_variable_u32_array",
            "of_property_read_u32_array of_property_read_u64 of_device_is_compatible",
            "of_device_is_available of_machine_is_compatible of_parse_phandle of_node_put",
            "of_n_addr_cells of_n_size_cells of_address_to_resource of_get_address",
            "of_translate_address of_iomap of_reserved_mem_lookup",
        ),
        # Tasks, locks, time, interrupts.
        **_names(
            _TASKS,
            "init_task schedule schedule_timeout wake_up_process kthread_create_on_node",
            "complete wait_for_completion __init_waitqueue_head msleep",
        ),
        **_names(
            _LOCKS,
            "mutex_lock mutex_unlock __mutex_init down up _raw_spin_lock _raw_spin_unlock",
            "_raw_spin_lock_irqsave _raw_spin_unlock_irqrestore __rcu_read_lock",
        ),
        **_names(_CPUS, "nr_cpu_ids __cpu_online_mask __cpu_possible_mask smp_call_function"),
        **_names(
            _TIME,
            "jiffies jiffies_64 loops_per_jiffy sched_clock ktime_get ktime_get_ts64",
            "__udelay __const_udelay arm_delay_ops",
        ),
        **_names(_INTERRUPTS, "request_irq request_threaded_irq free_irq enable_irq disable_irq"),
        # What belongs to devices, modules and user space.
        **_names(
            _DEVICES,
            "__platform_driver_register driver_register misc_register __register_chrdev",
        ),
        **_names(_FILES, "debugfs_create_file debugfs_create_dir proc_create seq_printf filp_open"),
        **_names("a driver here is part of the kernel, no module", "__this_module"),
        **_names("the boot ends before there is entropy", "get_random_bytes get_random_u32"),
        # Objects.
        **_names("struct mm_struct is not modelled: use swapper_pg_dir", "init_mm"),
        **_names("it stays 0 on ARM: use max_pfn", "max_possible_pfn"),
        **_names("gone since Linux 3.16: use memblock.memory", "meminfo"),
        **_names(
            "bootmem is gone since Linux 4.20: use memblock",
            "__alloc_bootmem ___alloc_bootmem free_bootmem reserve_bootmem contig_bootmem_data",
        ),
        **_names("counters of pages are not kept", "totalram_pages _totalram_pages vm_zone_stat"),
    }
)
