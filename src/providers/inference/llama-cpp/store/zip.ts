import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createInflateRaw } from 'node:zlib'
import { PullError } from './pull-error.ts'

const endSignature = 0x06054b50
const entrySignature = 0x02014b50
const localSignature = 0x04034b50
/** The end record is 22 bytes and a comment of at most 65,535. */
const endSearch = 22 + 65_535

interface ZipEntry {
  /** 0 stored, 8 deflated. */
  method: number
  compressed: number
  /** Of its local header. */
  offset: number
}

/** The bytes of one entry of a zip file (wheels are such), as they come out. Without zip64: no wheel is that large. Throws PullError. */
export async function* readEntry(path: string, name: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path)
  let entry: ZipEntry
  let start: number
  try {
    entry = await findEntry(file, name)
    const local = await read(file, entry.offset, 30)
    if (local.readUInt32LE(0) !== localSignature) throw broken(name)
    start = entry.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  } finally {
    await file.close()
  }
  if (entry.compressed === 0) return
  const raw = createReadStream(path, { start, end: start + entry.compressed - 1, highWaterMark: 1 << 20 })
  if (entry.method === 0) {
    yield* raw as AsyncIterable<Uint8Array>
    return
  }
  if (entry.method !== 8) throw new PullError(`'${name}' uses an unsupported compression method (${entry.method}).`)
  const inflate = createInflateRaw()
  raw.on('error', (error) => inflate.destroy(error))
  raw.pipe(inflate)
  yield* inflate as AsyncIterable<Uint8Array>
}

async function findEntry(file: FileHandle, name: string): Promise<ZipEntry> {
  const { size } = await file.stat()
  const tail = await read(file, Math.max(0, size - endSearch), Math.min(size, endSearch))
  let at = tail.length - 22
  while (at >= 0 && tail.readUInt32LE(at) !== endSignature) at--
  if (at < 0) throw broken(name)
  const directory = await read(file, tail.readUInt32LE(at + 16), tail.readUInt32LE(at + 12))
  for (let place = 0; place + 46 <= directory.length;) {
    if (directory.readUInt32LE(place) !== entrySignature) throw broken(name)
    const nameLength = directory.readUInt16LE(place + 28)
    if (directory.toString('utf8', place + 46, place + 46 + nameLength) === name) {
      return {
        method: directory.readUInt16LE(place + 10),
        compressed: directory.readUInt32LE(place + 20),
        offset: directory.readUInt32LE(place + 42),
      }
    }
    place += 46 + nameLength + directory.readUInt16LE(place + 30) + directory.readUInt16LE(place + 32)
  }
  throw new PullError(`The package does not contain '${name}'.`)
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead < length) throw new PullError('The package is truncated.')
  return buffer
}

function broken(name: string): PullError {
  return new PullError(`The package of '${name}' is not a zip file.`)
}
