"""Device trees: source and blobs in, checked trees and boards out.

`source` compiles DTS text; `blob` checks, reads and builds blobs; `edit` edits one, as boot loaders
do for `chosen` and `memory_node`; `board` says what a machine needs to know of a tree. Only this
package imports pyfdt, dtlib and pcpp, and each only when it is needed.
"""
