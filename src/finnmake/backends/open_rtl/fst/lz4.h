// In place of LZ4's header, of which Verilator's FST writer uses these two functions: no package of the machine is
// needed. The block is valid LZ4 that holds the data as literals, without compression
// (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
#ifndef FINNMAKE_LZ4_H
#define FINNMAKE_LZ4_H

#include <cstring>

inline int LZ4_compressBound(int size) {
    return size + size / 255 + 16;
}

inline int LZ4_compress_default(const char* from, char* to, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    char* place = to;
    if (size < 15) {
        *place++ = static_cast<char>(size << 4);
    } else {
        *place++ = static_cast<char>(15 << 4);
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *place++ = static_cast<char>(255);
        *place++ = static_cast<char>(rest);
    }
    std::memcpy(place, from, size);
    return static_cast<int>(place - to) + size;
}

#endif
