/**
 * Draws `media/icon.png`: two folders' worth of one thing, a circle of two arrows on a dark tile, antialiased by distance. Run when
 * the icon should change; the picture is committed.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';

const size = 256;
const tile = [24, 34, 58] as const;
const halves = [
  [86, 196, 255],
  [124, 240, 190],
] as const;

/** Signed distance, in pixels, from the rounded tile: negative inside. */
function tileDistance(x: number, y: number): number {
  const half = size / 2 - 8;
  const radius = 48;
  const dx = Math.max(Math.abs(x) - half + radius, 0);
  const dy = Math.max(Math.abs(y) - half + radius, 0);
  return Math.hypot(dx, dy) - radius;
}

/** An arc of a ring with an arrow head at its end; the other one is this one turned by half a circle. */
function arrowDistance(x: number, y: number): number {
  const ring = 62;
  const thickness = 13;
  const angle = Math.atan2(y, x);
  const start = -Math.PI + 0.5;
  const end = -0.42;
  const clamped = Math.min(Math.max(angle, start), end);
  const arc = Math.hypot(x - ring * Math.cos(clamped), y - ring * Math.sin(clamped)) - thickness;
  return Math.min(arc, triangleDistance(x - ring * Math.cos(end), y - ring * Math.sin(end), end + Math.PI / 2));
}

/** A triangle that points along `direction`, its base at the origin. */
function triangleDistance(x: number, y: number, direction: number): number {
  const along = x * Math.cos(direction) + y * Math.sin(direction);
  const across = Math.abs(-x * Math.sin(direction) + y * Math.cos(direction));
  const length = 40;
  const half = 34;
  const edge = (along * half + across * length - half * length) / Math.hypot(half, length);
  return Math.max(edge, -along - 6);
}

function coverage(distance: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance));
}

function pixel(column: number, row: number): readonly [number, number, number, number] {
  const x = column + 0.5 - size / 2;
  const y = row + 0.5 - size / 2;
  let color: readonly number[] = tile;
  for (const [index, half] of halves.entries()) {
    const turn = index === 0 ? 1 : -1;
    const share = coverage(arrowDistance(x * turn, y * turn));
    color = color.map((value, channel) => value + ((half[channel] ?? 0) - value) * share);
  }
  const [red = 0, green = 0, blue = 0] = color;
  return [Math.round(red), Math.round(green), Math.round(blue), Math.round(255 * coverage(tileDistance(x, y)))];
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'ascii'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

const header = Buffer.alloc(13);
header.writeUInt32BE(size, 0);
header.writeUInt32BE(size, 4);
header.set([8, 6, 0, 0, 0], 8);
const rows = Array.from({ length: size }, (_, row) =>
  Buffer.from([0, ...Array.from({ length: size }, (_each, column) => pixel(column, row)).flat()]),
);
const png = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  chunk('IHDR', header),
  chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 9 })),
  chunk('IEND', Buffer.alloc(0)),
]);
writeFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../media/icon.png'), png);
