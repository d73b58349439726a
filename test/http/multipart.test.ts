import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import OpenAI, { toFile } from 'openai'
import { z } from 'zod'
import { ApiError } from '../../src/errors.ts'
import { createOpenApi } from '../../src/http/openapi.ts'
import { routesFor } from '../../src/http/route.ts'
import { type UploadedFile, uploadedFile } from '../../src/schemas/uploaded-file.ts'
import { until } from '../storage/processes.ts'
import { type RouteServer, serveRoutes } from './route-server.ts'

const defineRoute = routesFor<undefined>()
const common = { method: 'POST', api: 'test', tag: 'Test', summary: 'For tests', responses: { 200: { description: 'OK' } } } as const

/** What the handler has seen of a file: where it was, and whether it was there. */
const seen: string[] = []

async function described(file: UploadedFile) {
  seen.push(file.path)
  const { size, filename, type } = file
  return { size, filename, type, text: await new Response(file.stream()).text() }
}

const routes = [
  defineRoute({
    ...common,
    path: '/v1/files',
    operationId: 'upload',
    multipart: { fields: 4, fieldBytes: 100, fileBytes: 10_000 },
    maxBodyBytes: 20_000,
    body: z.object({
      file: uploadedFile(),
      purpose: z.enum(['assistants', 'batch']),
      limit: z.coerce.number().int().optional(),
      metadata: z.record(z.string(), z.string()).optional(),
      include: z.array(z.string()).optional(),
    }),
    handle: async ({ body: { file, ...fields } }) => ({ id: 'file_1', ...fields, file: await described(file) }),
  }),
  defineRoute({
    ...common,
    path: '/v1/several',
    operationId: 'several',
    multipart: { files: 5 },
    body: z.object({ files: z.array(uploadedFile()) }),
    handle: async ({ body }) => ({ files: await Promise.all(body.files.map(described)) }),
  }),
  defineRoute({
    ...common,
    path: '/v1/failing',
    operationId: 'failing',
    multipart: {},
    body: z.object({ file: uploadedFile() }),
    async handle({ body }) {
      await described(body.file)
      throw new ApiError('not_found_error', 'There is no such store.')
    },
  }),
]

let folder: string
let server: RouteServer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-multipart-'))
  server = serveRoutes(routes, { uploadIdle: 400, uploadFolder: folder })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

type FormEntry = [name: string, value: string | Blob, filename?: string]

function form(...entries: FormEntry[]): FormData {
  const data = new FormData()
  for (const [name, value, filename] of entries) {
    if (typeof value === 'string') data.append(name, value)
    else data.append(name, value, filename)
  }
  return data
}

const hello = new Blob(['hello'], { type: 'text/plain' })
const good: FormEntry[] = [
  ['file', hello, 'a.txt'],
  ['purpose', 'batch'],
]

const fileOf = (size: number): FormEntry => ['file', new Blob(['x'.repeat(size)]), 'a']

interface Refused {
  error: { message: string; code: string; param: string | null; type: string }
}

const send = (body: BodyInit, path = '/v1/files', headers: Record<string, string> = {}) =>
  server.fetch(path, { method: 'POST', body, headers })

async function refused(pending: Promise<Response>) {
  const response = await pending
  expect(response.headers.get('content-type')).toBe('application/json')
  return { status: response.status, ...((await response.json()) as Refused).error }
}

const uploads = (): Promise<string[]> => readdir(folder)
const isGone = async (path: string): Promise<boolean> => !(await Bun.file(path).exists())

describe('a form', () => {
  test('[MPT-1] arrives as its schema says: fields as texts, files on disk', async () => {
    const entries: FormEntry[] = [...good, ['limit', '7'], ['metadata[k]', 'v'], ['include[]', 'x']]
    expect(await (await send(form(...entries))).json()).toEqual({
      id: 'file_1',
      purpose: 'batch',
      limit: 7,
      metadata: { k: 'v' },
      include: ['x'],
      file: { size: 5, filename: 'a.txt', type: 'text/plain', text: 'hello' },
    })
  })

  test('[MPT-1] may have its fields after its files, empty files, and several files of one name in their order', async () => {
    const sizes = [70_000, 0, 1, 200_000, 5]
    const entries = sizes.map((size, at): FormEntry => ['files', new Blob(['x'.repeat(size)]), `${at}.txt`])
    const { files } = (await (await send(form(...entries), '/v1/several')).json()) as {
      files: { size: number; filename: string; text: string }[]
    }
    expect(files.map(({ size, filename, text }) => [size, filename, text.length])).toEqual(
      sizes.map((size, at) => [size, `${at}.txt`, size]),
    )
  })

  test('[MPT-1] keeps names in any script, without folders and control characters', async () => {
    const names: [string, string][] = [
      ['测试文档.DOCX', '测试文档.DOCX'],
      ['../../etc/passwd', 'passwd'],
      ['C:\\Users\\me\\note.txt', 'note.txt'],
      ['naïve “file”.txt', 'naïve “file”.txt'],
      ['a\u0001b.txt', 'a\ufffdb.txt'],
    ]
    for (const [given, kept] of names) {
      const { file } = (await (await send(form(['file', hello, given], ['purpose', 'batch']))).json()) as { file: { filename: string } }
      expect(file.filename).toBe(kept)
    }
  })

  test('[MPT-1] is what OpenAI’s client sends', async () => {
    const client = new OpenAI({ apiKey: 'k', baseURL: `${server.url}/v1`, maxRetries: 0 })
    const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), '数据.jsonl'), purpose: 'batch' })
    expect(file as unknown).toMatchObject({ id: 'file_1', purpose: 'batch', file: { filename: '数据.jsonl', size: 3, text: '{}\n' } })
  })

  test('[MPT-1] may be compressed', async () => {
    const body = new Response(form(...good))
    const type = body.headers.get('content-type') ?? ''
    const packed = gzipSync(new Uint8Array(await body.arrayBuffer()))
    const response = await send(packed, '/v1/files', { 'content-type': type, 'content-encoding': 'gzip' })
    expect(await response.json()).toMatchObject({ purpose: 'batch', file: { text: 'hello' } })
    const large = gzipSync(Buffer.from(`--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n${' '.repeat(30_000)}\r\n--b--`))
    const bomb = send(large, '/v1/files', { 'content-type': 'multipart/form-data; boundary=b', 'content-encoding': 'gzip' })
    expect(await refused(bomb)).toMatchObject({ status: 413 })
  })

  test('[MPT-2] is refused with what is wrong with it', async () => {
    const cases: [FormEntry[], object][] = [
      [[['purpose', 'batch']], { param: 'file', code: 'missing_required_parameter' }],
      [[['file', hello, 'a']], { param: 'purpose', code: 'missing_required_parameter' }],
      [
        [
          ['file', 'text'],
          ['purpose', 'batch'],
        ],
        { param: 'file', code: 'invalid_value', message: expect.stringContaining('a part with a filename') },
      ],
      [
        [
          ['file', hello, 'a'],
          ['purpose', hello, 'b'],
        ],
        { code: 'too_many_parts', message: expect.stringContaining('at most 1') },
      ],
      [
        [
          ['file', hello, 'a'],
          ['purpose', 'other'],
        ],
        { param: 'purpose', code: 'invalid_value' },
      ],
      [[...good, ['purpose', 'batch']], { param: 'purpose' }],
      [
        [...good, ['x', '1'], ['y', '1'], ['z', '1'], ['zz', '1']],
        { code: 'too_many_parts', message: expect.stringContaining('at most 4') },
      ],
      [[...good, ['x'.repeat(300), '1']], { code: 'invalid_multipart' }],
    ]
    for (const [entries, error] of cases) {
      expect(await refused(send(form(...entries)))).toMatchObject({ status: 400, type: 'invalid_request_error', ...error })
    }
  })

  test('[MPT-2] that is too large is refused with the limit that it exceeds', async () => {
    const cases: [FormEntry[], object][] = [
      [[fileOf(10_001), ['purpose', 'batch']], { code: 'file_too_large', param: 'file', message: expect.stringContaining('10000 bytes') }],
      [
        [fileOf(1), ['purpose', 'x'.repeat(101)]],
        { code: 'field_too_large', param: 'purpose', message: expect.stringContaining('100 bytes') },
      ],
      [[fileOf(25_000)], { code: 'request_too_large', message: expect.stringContaining('20000 bytes') }],
    ]
    for (const [entries, error] of cases) expect(await refused(send(form(...entries)))).toMatchObject({ status: 413, ...error })
    expect((await send(form(fileOf(10_000), ['purpose', 'batch']))).status).toBe(200)
  })

  test('[MPT-2] of another media type, or without a boundary, is refused', async () => {
    const cases: [string, number, string][] = [
      ['application/json', 415, 'unsupported_media_type'],
      ['multipart/mixed; boundary=b', 415, 'unsupported_media_type'],
      ['application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
      ['multipart/form-data', 400, 'invalid_multipart'],
      ['multipart/form-data; boundary=', 400, 'invalid_multipart'],
      [`multipart/form-data; boundary=${'b'.repeat(71)}`, 400, 'invalid_multipart'],
    ]
    for (const [type, status, code] of cases) {
      expect(await refused(send('--b--', '/v1/files', { 'content-type': type }))).toMatchObject({ status, code })
    }
  })

  test('[MPT-3] leaves nothing on disk, whether its handler succeeds or throws, or it is refused', async () => {
    seen.length = 0
    expect((await send(form(...good))).status).toBe(200)
    expect((await send(form(['file', hello, 'a']), '/v1/failing')).status).toBe(404)
    expect((await send(form(['file', hello, 'a']))).status).toBe(400)
    expect(seen).toHaveLength(2)
    for (const path of seen) expect(await isGone(path)).toBe(true)
    expect(await uploads()).toEqual([])
  })

  test('[MPT-3] whose caller leaves in the middle leaves nothing on disk and nothing running', async () => {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const head = 'POST /v1/several HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n'
    socket.write(`${head}--b\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\n${'x'.repeat(100_000)}`)
    await until(async () => (await uploads()).length === 1)
    socket.destroy()
    await until(async () => (await uploads()).length === 0)
    await until(() => server.active.count === 0)
  })

  test('[MPT-3] whose process was killed has its files deleted by a later process, a day after', async () => {
    const place = await mkdtemp(join(tmpdir(), 'corral-abandoned-'))
    const [old, recent, foreign] = ['corral-upload-old', 'corral-upload-recent', 'another'].map((name) => join(place, name))
    for (const path of [old, recent, foreign]) await mkdir(path ?? '')
    await writeFile(join(old ?? '', '0'), 'x')
    const yesterday = new Date(Date.now() - 25 * 3600 * 1000)
    for (const path of [old, foreign]) await utimes(path ?? '', yesterday, yesterday)
    {
      await using later = serveRoutes(routes, { uploadFolder: place })
      expect((await later.fetch('/v1/files', { method: 'POST', body: form(...good) })).status).toBe(200)
      await until(async () => !(await readdir(place)).includes('corral-upload-old'))
    }
    expect((await readdir(place)).toSorted()).toEqual(['another', 'corral-upload-recent'])
    await rm(place, { recursive: true, force: true })
  })

  test('[MPT-4] that stops coming is given up with a 408, and leaves nothing on disk', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<string>()
    const socket = connect(server.port, '127.0.0.1')
    let received = ''
    socket.on('data', (piece) => (received += String(piece)))
    socket.on('close', () => resolve(received))
    const head = 'POST /v1/several HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n'
    socket.write(`${head}--b\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\nxxxxx`)
    expect(await closed).toStartWith('HTTP/1.1 408 ')
    expect(received).toContain('"code":"request_timeout"')
    expect(await uploads()).toEqual([])
  })

  test('[MPT-6] is documented with its files as binary strings', () => {
    const document = createOpenApi(routes, { title: 'T', version: '1', description: '' }) as {
      paths: Record<string, { post: { requestBody: { content: Record<string, { schema: object }> } } }>
    }
    const { content } = document.paths['/v1/files']?.post.requestBody ?? { content: {} }
    expect(Object.keys(content)).toEqual(['multipart/form-data'])
    expect(content['multipart/form-data']?.schema).toMatchObject({
      type: 'object',
      properties: { file: { type: 'string', format: 'binary' }, purpose: { type: 'string' } },
      required: ['file', 'purpose'],
    })
  })
})
