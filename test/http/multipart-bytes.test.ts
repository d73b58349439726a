import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { ApiError } from '../../src/errors.ts'
import { readMultipart } from '../../src/http/multipart.ts'
import { UploadedFile } from '../../src/schemas/uploaded-file.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { runs } from '../../src/testing/sizes.ts'

/** A part as it is written, whatever its names are. */
const writtenPart = (name: string, filename?: string) =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n\r\nx\r\n`

/** A body in pieces, as a connection brings it. */
function requestOf(body: Uint8Array, pieces: readonly number[], boundary = 'b'): Request {
  const parts: Uint8Array[] = []
  let at = 0
  for (const size of [...pieces, body.length]) {
    if (at < body.length && size > 0) parts.push(body.subarray(at, at + size))
    at += size
  }
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = parts.shift()
      if (piece) controller.enqueue(piece)
      else controller.close()
    },
  })
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` }
  return new Request('http://corral.test/', { method: 'POST', body: stream, headers })
}

const options = { limits: { files: 20, fields: 20 }, maxBytes: 1_000_000 }

interface WrittenPart {
  readonly name: string
  readonly isFile: boolean
  readonly content: Buffer
}

const bodyOf = (parts: readonly WrittenPart[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap(({ name, isFile, content: bytes }) => [
      Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}[]"${isFile ? '; filename="f"' : ''}\r\n\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ]),
    Buffer.from('--b--\r\n'),
  ])

describe('multipart bytes', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'corral-multipart-test-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  const pieces = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 })
  /** Bytes that look like boundaries and line ends among others. */
  const content = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 30 }),
        fc.constantFrom('\r\n', '--b', '\r\n--', '\r\n--bb', '\r\n-', '\r', '-').map((text) => Buffer.from(text)),
      ),
    )
    .map((list) => Buffer.concat(list))
    .filter((bytes) => !Buffer.concat([Buffer.from('\r\n'), bytes]).includes('\r\n--b'))
  const part = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), isFile: fc.boolean(), content })

  test('[MPT-5] any form in any pieces is read as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 6 }), pieces, async (parts, sizes) => {
        await using read = await readMultipart(requestOf(bodyOf(parts), sizes), { ...options, folder })
        const found: Record<string, unknown[]> = {}
        for (const [name, values] of Object.entries(read.value)) {
          const list = Array.isArray(values) ? values : [values]
          found[name] = await Promise.all(
            list.map(async (value) =>
              value instanceof UploadedFile ? Buffer.from(await new Response(value.stream()).arrayBuffer()).toString('hex') : value,
            ),
          )
        }
        const expected: Record<string, unknown[]> = {}
        for (const { name, isFile, content: bytes } of parts)
          (expected[name] ??= []).push(isFile ? bytes.toString('hex') : bytes.toString('utf8'))
        expect(found).toEqual(expected)
      }),
      { numRuns: runs(500) },
    )
    expect(await readdir(folder)).toEqual([])
  })

  test('[MPT-5] a body that is cut off anywhere is refused, and leaves nothing', async () => {
    const body = bodyOf([
      { name: 'a', isFile: false, content: Buffer.from('text') },
      { name: 'b', isFile: true, content: Buffer.from('some bytes') },
    ])
    const end = body.length - 2
    for (let length = 0; length < end; length++) {
      const failure = await failureOf(readMultipart(requestOf(body.subarray(0, length), []), { ...options, folder }))
      expect(failure).toMatchObject({ status: 400, code: 'invalid_multipart' })
    }
    expect(await readdir(folder)).toEqual([])
  })

  test('[MPT-5] hostile bytes are a form or a 400, never a wait, a fault or a file that stays', async () => {
    const flip = fc.record({
      at: fc.nat({ max: 400 }),
      byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(10, 13, 34, 45, 58, 59, 61)),
      length: fc.nat({ max: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 4 }),
        fc.array(flip, { minLength: 1, maxLength: 8 }),
        pieces,
        async (parts, flips, sizes) => {
          let body = bodyOf(parts)
          for (const { at, byte, length } of flips)
            body = Buffer.concat([body.subarray(0, at), Buffer.alloc(length === 0 ? 0 : 1, byte), body.subarray(at + length)])
          try {
            await using read = await readMultipart(requestOf(body, sizes), { ...options, folder })
            expect(read.bytes).toBe(body.length)
          } catch (error) {
            if (!(error instanceof ApiError)) throw error
            expect([error.status, error.code]).toEqual([400, expect.stringMatching(/^(invalid_multipart|too_many_parts)$/)])
          }
        },
      ),
      { numRuns: runs(1000) },
    )
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['no header', ''],
    ['no content-disposition', 'Content-Type: text/plain\r\n'],
    ['another disposition', 'Content-Disposition: attachment; name="a"\r\n'],
    ['a header without a colon', 'Content-Disposition\r\n'],
    ['a bare line feed', 'Content-Disposition: form-data; name="a\nb"\r\n'],
    ['a bare carriage return', 'X: a\rb\r\nContent-Disposition: form-data; name="a"\r\n'],
  ])('[MPT-5] a part with %s is refused, not left out', async (_name, header) => {
    const whole = writtenPart('before')
    const body = Buffer.from(`${whole}--b\r\n${header}\r\nx\r\n${writtenPart('after')}--b--`)
    for (const sizes of [[], Array.from({ length: body.length }, () => 1)]) {
      const failure = await failureOf(readMultipart(requestOf(body, sizes), { ...options, folder }))
      expect(failure).toMatchObject({ status: 400, code: 'invalid_multipart' })
    }
    expect(await readdir(folder)).toEqual([])
    await using read = await readMultipart(requestOf(Buffer.from(`preamble\r\n${whole}--b--\r\n--b\r\nepilogue`), []), {
      ...options,
      folder,
    })
    expect({ ...read.value }).toEqual({ before: 'x' })
  })

  test('[MPT-5] names of fields reach no prototype and no path', async () => {
    const body = Buffer.from(
      `${writtenPart('__proto__[polluted]')}${writtenPart('__proto__')}${writtenPart('constructor[prototype]')}${writtenPart('f', '/etc/x\\..\\y')}--b--`,
    )
    await using read = await readMultipart(requestOf(body, []), { ...options, folder })
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(Object.getPrototypeOf(read.value)).toBeNull()
    const file = read.value['f']
    if (!(file instanceof UploadedFile)) throw new Error('f is not a file')
    expect(file.path.startsWith(folder)).toBe(true)
    expect(file.filename).toBe('y')
    const nameless = Buffer.from('--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--')
    expect(await failureOf(readMultipart(requestOf(nameless, []), { ...options, folder }))).toMatchObject({
      status: 400,
      code: 'invalid_multipart',
    })
  })
})
