import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { z } from 'zod'
import { select } from '../../src/http/byte-ranges.ts'
import { ByteContent, contentDisposition } from '../../src/http/byte-response.ts'
import { createOpenApi } from '../../src/http/openapi.ts'
import { routesFor } from '../../src/http/route.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { runs } from '../../src/testing/sizes.ts'
import { until } from '../storage/processes.ts'
import { type RouteServer, serveRoutes } from './route-server.ts'

const changed = Date.UTC(2026, 10, 24, 12, 30, 15, 700)
const date = 'Tue, 24 Nov 2026 12:30:15 GMT'
const text = 'abcdefghijklmnopqrstuvwxyz'

let folder: string
let server: RouteServer
/** How often bytes were opened. */
let opened = 0

const byteRoute = routesFor<undefined>()({
  method: 'GET',
  path: '/v1/files/{name}/content',
  api: 'test',
  tag: 'Test',
  summary: 'For tests',
  operationId: 'content',
  params: z.object({ name: z.string() }),
  responses: { 200: { description: 'The bytes.', bytes: 'application/octet-stream' } },
  handle({ params: { name } }) {
    if (name === 'plain') return ByteContent.ofFile(join(folder, 'text'), { size: text.length })
    if (name === 'large') return ByteContent.ofFile(join(folder, 'large'), { size: largeSize, etag: 'large' })
    if (name === 'long') return ByteContent.ofFile(join(folder, 'text'), { size: largeSize })
    if (name === 'missing') return ByteContent.ofFile(join(folder, 'nothing'), { size: 10 })
    if (name === 'empty') return new ByteContent({ size: 0, etag: 'e', open: () => new Response('').body as never })
    if (name === 'more') return new ByteContent({ size: 3, open: () => new Response('abcdef').body as never })
    return new ByteContent({
      size: text.length,
      type: 'text/plain',
      filename: 'a.txt',
      etag: 'v1',
      lastModified: changed,
      open({ start, end }) {
        opened++
        return new Response(text.slice(start, end + 1)).body as ReadableStream<Uint8Array>
      },
    })
  },
})

const largeSize = 100 * 1024 * 1024

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-bytes-'))
  await writeFile(join(folder, 'text'), text)
  await writeFile(join(folder, 'large'), '')
  await truncate(join(folder, 'large'), largeSize)
  server = serveRoutes([byteRoute])
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(() => {
  opened = 0
  server.failures.length = 0
})

const get = (headers: Record<string, string> = {}, { name = 'text', method = 'GET' } = {}) =>
  server.fetch(`/v1/files/${name}/content`, { headers, method })

/** How many files of the folder this process has open. */
const openFiles = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder)
    } catch {
      return false
    }
  }).length

describe('byte content', () => {
  test('[RNG-1] is sent whole with what is known of it', async () => {
    const response = await get()
    expect(await response.text()).toBe(text)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'accept-ranges': 'bytes',
      'content-disposition': 'attachment; filename="a.txt"',
      'content-length': '26',
      'content-type': 'text/plain',
      'last-modified': date,
      'x-content-type-options': 'nosniff',
      etag: '"v1"',
    })
    const plain = await get({}, { name: 'plain' })
    expect(plain.headers.get('content-type')).toBe('application/octet-stream')
    expect(plain.headers.get('content-disposition')).toBe('attachment')
    expect(await plain.text()).toBe(text)
  })

  test('[RNG-2] HEAD has the head of GET, and opens nothing', async () => {
    const response = await get({ range: 'bytes=1-2' }, { method: 'HEAD' })
    expect([response.status, response.headers.get('content-length'), response.headers.get('etag')]).toEqual([200, '26', '"v1"'])
    expect(response.headers.get('content-range')).toBeNull()
    expect(await response.text()).toBe('')
    expect(opened).toBe(0)
  })

  test.each([
    ['bytes=0-0', 'a', '0-0'],
    ['bytes=2-4', 'cde', '2-4'],
    ['bytes=20-', 'uvwxyz', '20-25'],
    ['bytes=20-1000', 'uvwxyz', '20-25'],
    ['bytes=20-99999999999999999999999999', 'uvwxyz', '20-25'],
    ['bytes=-3', 'xyz', '23-25'],
    ['bytes=-1000', text, '0-25'],
    ['Bytes = 1-2', 'bc', '1-2'],
    ['bytes=,1-2,', 'bc', '1-2'],
  ])('[RNG-3] one range is sent alone: %s', async (range, bytes, shown) => {
    const response = await get({ range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${shown}/26`)
    expect(response.headers.get('content-length')).toBe(String(bytes.length))
    expect(await response.text()).toBe(bytes)
  })

  test.each(['bytes=26-', 'bytes=100-200', 'bytes=-0', 'bytes=99999999999999999999-'])(
    '[RNG-3] a range outside the content is a 416 that names its size: %s',
    async (range) => {
      const response = await get({ range })
      expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */26'])
      expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', code: 'range_not_satisfiable' } })
      expect(opened).toBe(0)
    },
  )

  test.each([
    'bytes=0-1,3-4',
    'bytes=0-1, 0-1, 0-1',
    'bytes=5-2',
    'bytes=a-b',
    'bytes=',
    'bytes=-',
    'bytes=1',
    'bytes 1-2',
    'lines=1-2',
    'bytes=+1-2',
  ])('[RNG-3] several ranges, other units and malformed ones get the whole: %s', async (range) => {
    const response = await get({ range })
    expect([response.status, await response.text(), response.headers.get('content-range')]).toEqual([200, text, null])
  })

  test('[RNG-3] any range of nothing is nothing', async () => {
    const response = await get({ range: 'bytes=0-' }, { name: 'empty' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test.each([
    [{ 'if-none-match': '"v1"' }, 304],
    [{ 'if-none-match': 'W/"v1"' }, 304],
    [{ 'if-none-match': '"a", "v1"' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"v2"' }, 200],
    [{ 'if-none-match': 'v1' }, 200],
    [{ 'if-none-match': '"v2"', 'if-modified-since': date }, 200],
    [{ 'if-modified-since': date }, 304],
    [{ 'if-modified-since': 'Tue, 24 Nov 2026 12:30:14 GMT' }, 200],
    [{ 'if-modified-since': '2026-11-24T12:30:15Z' }, 200],
    [{ 'if-modified-since': 'Tuesday, 24-Nov-26 12:30:15 GMT' }, 304],
    [{ 'if-modified-since': 'Tue Nov 24 12:30:15 2026' }, 304],
    [{ 'if-match': '"v1"' }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': 'W/"v1"' }, 412],
    [{ 'if-match': '"v2"' }, 412],
    [{ 'if-match': '"v1"', 'if-unmodified-since': 'Mon, 23 Nov 2026 00:00:00 GMT' }, 200],
    [{ 'if-unmodified-since': date }, 200],
    [{ 'if-unmodified-since': 'Mon, 23 Nov 2026 00:00:00 GMT' }, 412],
    [{ 'if-none-match': '"v1"', range: 'bytes=0-1' }, 304],
    [{ 'if-match': '"v2"', range: 'bytes=99-' }, 412],
  ] as [Record<string, string>, number][])('[RNG-4] conditions: %j is a %d', async (headers, status) => {
    const response = await get(headers)
    expect(response.status).toBe(status)
    if (status !== 304) return
    expect([await response.text(), response.headers.get('etag'), response.headers.get('content-type')]).toEqual(['', '"v1"', null])
    expect(opened).toBe(0)
  })

  test.each([
    ['"v1"', 206],
    ['"v2"', 200],
    ['W/"v1"', 200],
    [date, 206],
    ['Tue, 24 Nov 2026 12:30:16 GMT', 200],
    ['invalid', 200],
  ])('[RNG-4] If-Range %s with a range is a %d', async (value, status) => {
    const response = await get({ range: 'bytes=0-1', 'if-range': value })
    expect([response.status, await response.text()]).toEqual(status === 206 ? [206, 'ab'] : [200, text])
  })

  test('[RNG-5] names in any script are sent so that every client can read them', () => {
    const cases: [string, string][] = [
      ['a b.txt', 'attachment; filename="a b.txt"'],
      ['naïve.txt', `attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`],
      ['测试.docx', `attachment; filename="__.docx"; filename*=UTF-8''%E6%B5%8B%E8%AF%95.docx`],
      ['a"b\\c%20.txt', `attachment; filename="a_b_c_20.txt"; filename*=UTF-8''a%22b%5Cc%2520.txt`],
      ["it's (1)*.txt é", `attachment; filename="it's (1)*.txt _"; filename*=UTF-8''it%27s%20%281%29%2A.txt%20%C3%A9`],
      ['a\r\nset-cookie: b', `attachment; filename="a__set-cookie: b"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20b`],
      ['\ud800', `attachment; filename="_"; filename*=UTF-8''%EF%BF%BD`],
    ]
    for (const [name, header] of cases) expect(contentDisposition(name)).toBe(header)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const header = contentDisposition(name)
        expect(new Headers({ 'content-disposition': header }).get('content-disposition')).toBe(header)
        const extended = /filename\*=UTF-8''(.*)$/.exec(header)?.[1]
        expect(extended === undefined ? /filename="(.*)"$/.exec(header)?.[1] : decodeURIComponent(extended)).toBe(name.toWellFormed())
      }),
    )
  })

  test('[RNG-6] a large file is read as its caller reads it, and closed when the caller leaves', async () => {
    const whole = await get({}, { name: 'large' })
    expect((await whole.arrayBuffer()).byteLength).toBe(largeSize)
    await until(() => server.active.count === 0 && openFiles() === 0)

    const before = process.memoryUsage().rss
    const socket = connect(server.port, '127.0.0.1')
    socket.pause()
    socket.write('GET /v1/files/large/content HTTP/1.1\r\nhost: x\r\n\r\n')
    await until(() => openFiles() === 1)
    expect(server.active.streams).toBe(1)
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 1024 * 1024)
    socket.destroy()
    await until(() => server.active.count === 0 && openFiles() === 0)
    expect(server.failures).toEqual([])
  })

  test('[RNG-6] a server that stops closes what it was sending', async () => {
    const stopping = serveRoutes([byteRoute])
    const socket = connect(stopping.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write('GET /v1/files/large/content HTTP/1.1\r\nhost: x\r\n\r\n')
    await until(() => openFiles() === 1)
    await stopping[Symbol.asyncDispose]()
    await until(() => openFiles() === 0 && stopping.active.count === 0)
    expect(stopping.failures).toEqual([expect.objectContaining({ type: 'service_unavailable_error' })])
    socket.destroy()
  })

  test('[RNG-7] fewer or more bytes than announced never look like a whole response', async () => {
    expect(await failureOf(get({}, { name: 'long' }).then((response) => response.arrayBuffer()))).toBeInstanceOf(Error)
    expect((await get({}, { name: 'more' })).status).toBe(500)
    expect((await get({}, { name: 'missing' })).status).toBe(500)
    await until(() => server.active.count === 0 && openFiles() === 0)
    // The first may have been tried twice by the client, which got no head.
    expect([...new Set(server.failures.map(String))]).toEqual([
      expect.stringContaining('the file ended after 26 bytes'),
      expect.stringContaining('gave 6 bytes, 3 were announced'),
      expect.stringContaining('ENOENT'),
    ])
  })

  test('[RNG-8] is documented as bytes', () => {
    const document = createOpenApi([byteRoute], { title: 'T', version: '1', description: '' }) as {
      paths: Record<string, { get: { responses: Record<string, object> } }>
    }
    expect(document.paths['/v1/files/{name}/content']?.get.responses).toMatchObject({
      200: { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } },
      206: { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } },
      304: { description: expect.any(String) },
      412: { $ref: expect.any(String) },
      416: { $ref: expect.any(String) },
    })
  })
})

describe('ranges', () => {
  const number = fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 1000 }))
  const spec = fc.oneof(
    fc.record({ first: number, last: fc.option(number, { nil: undefined }) }),
    fc.record({ suffix: number }),
    fc.record({ junk: fc.constantFrom('x', '1', '-', '--1', '1-2-3', '1 2', '1.5-2') }),
  )
  const space = fc.constantFrom('', ' ', '  ')

  type Spec = { first: number; last: number | undefined } | { suffix: number } | { junk: string }

  const spelt = (one: Spec): string => ('junk' in one ? one.junk : 'suffix' in one ? `-${one.suffix}` : `${one.first}-${one.last ?? ''}`)

  /** The requested positions in a body of `size` bytes, computed from the ranges rather than the text. */
  const expected = (specs: readonly Spec[], size: number): number[] | 'whole' | 'unsatisfiable' => {
    const [only] = specs
    if (!only || specs.length > 1 || size === 0 || 'junk' in only) return 'whole'
    const all = Array.from({ length: size }, (_, at) => at)
    if ('suffix' in only) return only.suffix === 0 ? 'unsatisfiable' : all.slice(-only.suffix)
    if (only.last !== undefined && only.last < only.first) return 'whole'
    const positions = all.filter((at) => at >= only.first && at <= (only.last ?? Infinity))
    return positions.length === 0 ? 'unsatisfiable' : positions
  }

  test('[RNG-3] any Range header selects what its parts mean', () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 3 }), space, fc.nat({ max: 15 }), (specs, gap, size) => {
        const headers = new Headers({ range: `bytes=${gap}${specs.map(spelt).join(`${gap},${gap}`)}` })
        const selection = select('GET', headers, { size, etag: undefined, lastModified: undefined })
        const positions = expected(specs, size)
        if (positions === 'whole') expect(selection).toEqual({ status: 200 })
        else if (positions === 'unsatisfiable') expect(selection).toEqual({ status: 416 })
        else expect(selection).toEqual({ status: 206, range: { start: positions[0] ?? 0, end: positions.at(-1) ?? 0 } })
      }),
      { numRuns: runs(5000) },
    )
  })

  test('[RNG-3] no header makes it throw, or select what is not there', () => {
    const header = fc.oneof(fc.string({ maxLength: 30 }), fc.stringMatching(/^bytes=[-0-9, ]{0,20}$/)).filter((value) => {
      try {
        return new Headers({ range: value }).has('range')
      } catch {
        return false
      }
    })
    const names = fc.constantFrom('range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since')
    fc.assert(
      fc.property(fc.dictionary(names, header), fc.nat({ max: 50 }), (headers, size) => {
        const selection = select('GET', new Headers(headers), { size, etag: '"a"', lastModified: changed })
        if (selection.status !== 206) return
        expect(selection.range.start).toBeGreaterThanOrEqual(0)
        expect(selection.range.end).toBeGreaterThanOrEqual(selection.range.start)
        expect(selection.range.end).toBeLessThan(size)
      }),
      { numRuns: runs(5000) },
    )
  })
})
