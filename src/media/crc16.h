/* CRC-16 as MP3's Info frame has it (polynomial 0x8005, bits reflected, from 0), and that of two runs of bytes put together from
 * those of each. Pure.
 *
 *   uint16_t both = crc16_join(crc16(0, a, a_len), crc16(0, b, b_len), b_len);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint16_t crc16(uint16_t crc, const void *data, size_t len);
uint16_t crc16_join(uint16_t first, uint16_t second, uint64_t second_len);
