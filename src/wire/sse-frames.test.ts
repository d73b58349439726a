import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { dataStart, FrameSplitter, FrameTooLarge, readFrame } from './sse-frames.ts'
import { runs } from '../testing/sizes.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const megabyte = 1024 * 1024

interface Event {
  event?: string
  data?: string
}

/** Everything that comes out for these chunks, without the last frame when it lacks its empty line unless `flush`. */
function split(chunks: readonly Uint8Array[], flush = false): Event[] {
  const splitter = new FrameSplitter(megabyte)
  const events: Event[] = []
  const take = (): void => {
    const { bytes, start, end, singleLine } = splitter
    const { event, data } = readFrame(bytes.subarray(start, end))
    const at = singleLine ? dataStart(bytes, start, end) : -1
    if (at >= 0) expect(decoder.decode(bytes.subarray(at, end))).toBe(decoder.decode(data))
    if (data) events.push({ ...(event !== undefined && { event }), data: decoder.decode(data) })
  }
  for (const chunk of chunks) {
    splitter.push(chunk)
    while (splitter.next()) take()
  }
  if (flush && splitter.flush()) take()
  return events
}

/** The standard's algorithm, the slow way: on the whole text. */
function reference(text: string): Event[] {
  const lines = text.replaceAll('\r\n', '\n').replaceAll('\r', '\n').split('\n').slice(0, -1)
  const events: Event[] = []
  let event: string | undefined
  let data: string[] = []
  for (const line of lines) {
    if (line === '') {
      if (data.length) events.push({ ...(event !== undefined && { event }), data: data.join('\n') })
      event = undefined
      data = []
      continue
    }
    const at = line.indexOf(':')
    const name = at < 0 ? line : line.slice(0, at)
    const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '')
    if (name === 'data') data.push(value)
    if (name === 'event') event = value
  }
  return events
}

function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
}

const line = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', ' ', ':', 'é', '語', '😀', '{', '"') }).map((text) => `data:${text}`),
  fc.constantFrom('data: {"a":1}', 'data', 'data:', ': comment', 'event: error', 'event:x', 'id: 1', '', '', ''),
)
const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\n', '\r\n', '\r'))).map((lines) => lines.flat().join(''))

test('reads what the standard reads, cut at any bytes', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat()), (text, places) => {
      expect(split(cutAt(encoder.encode(text), places))).toEqual(reference(text))
    }),
    { numRuns: runs(1000) },
  )
})

test.each(['\n', '\r\n', '\r'])('reads a stream of one byte a chunk with line ends %j', (end) => {
  const text = ['data: {"a":"é語"}', '', ': ping', '', 'event: error', 'data: 1', 'data:2', '', 'data: [DONE]', '', ''].join(end)
  const chunks = [...encoder.encode(text)].map((byte) => Uint8Array.of(byte))
  expect(split(chunks)).toEqual([{ data: '{"a":"é語"}' }, { event: 'error', data: '1\n2' }, { data: '[DONE]' }])
})

test('gives the last frame without its empty line only when asked', () => {
  const chunks = [encoder.encode('data: 1\n\nevent: x\ndata: 2')]
  expect(split(chunks)).toEqual([{ data: '1' }])
  expect(split(chunks, true)).toEqual([{ data: '1' }, { event: 'x', data: '2' }])
})

test('skips a byte order mark', () => {
  expect(split([encoder.encode('\uFEFFdata: 1\n\n')])).toEqual([{ data: '1' }])
})

function frame(size: number): Uint8Array {
  return encoder.encode(`data: ${'x'.repeat(size - 7)}\n\n`)
}

test('takes a frame up to its limit and none beyond, whole or in pieces', () => {
  const limit = 1000
  const run = (bytes: Uint8Array, piece: number): number => {
    const splitter = new FrameSplitter(limit)
    let found = 0
    for (let at = 0; at < bytes.length; at += piece) {
      splitter.push(bytes.subarray(at, at + piece))
      while (splitter.next()) found += 1
    }
    return found
  }
  for (const piece of [1, 7, 2000]) {
    expect(run(frame(limit), piece)).toBe(1)
    expect(() => run(frame(limit + 10), piece)).toThrow(FrameTooLarge)
  }
})

test('a frame of 10 MB in small pieces is copied once, not once a piece', () => {
  const splitter = new FrameSplitter(16 * megabyte)
  const piece = encoder.encode('x'.repeat(1024))
  splitter.push(encoder.encode('data: '))
  expect(splitter.next()).toBe(false)
  for (let count = 0; count < 10 * 1024; count += 1) {
    splitter.push(piece)
    expect(splitter.next()).toBe(false)
  }
  splitter.push(encoder.encode('\n\n'))
  expect(splitter.next()).toBe(true)
  expect(splitter.end - splitter.start).toBe(6 + 10 * megabyte)
})
