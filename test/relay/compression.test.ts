import { brotliCompressSync, constants, createGzip, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'bun:test'
import { createEgress, EgressError, type EgressRequest, type NetworkOptions } from '../../src/egress/egress.ts'
import { chatFrames, chatReply, mockUpstream, splitAt, stall } from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, startRelay } from './relay-server.ts'

const egress = createEgress()
const limit = 1024 * 1024

function get(network?: NetworkOptions, signal = new AbortController().signal): EgressRequest {
  return { method: 'GET', headers: {}, signal, network }
}

async function fetchText(url: string, request: EgressRequest): Promise<string> {
  const { content } = await egress.request(url, request)
  return new TextDecoder().decode(await content.bytes(limit))
}

async function failure(promise: Promise<unknown>): Promise<EgressError> {
  const error: unknown = await promise.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EgressError)
  return error as EgressError
}

const packers: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  'x-gzip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: (bytes) => zstdCompressSync(bytes),
}

function pack(bytes: Buffer, encoding: string): Buffer {
  return packers[encoding.toLowerCase()]?.(bytes) ?? bytes
}

test.each(['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'GZIP', 'identity', 'br, gzip', 'unheard-of'])(
  'a body that is %s',
  async (encoding) => {
    const text = 'what was said, '.repeat(20_000)
    await using upstream = await mockUpstream()
    const bytes = encoding.split(', ').reduce(pack, Buffer.from(text))
    const { length } = bytes
    const headers = { 'content-encoding': encoding }
    upstream.enqueue({ body: bytes, headers }, { body: splitAt(bytes, 1, length >> 1, length - 1), headers })
    for (let round = 0; round < 2; round += 1) expect(await fetchText(upstream.url, get())).toBe(text)
    await upstream.quiet()
    expect(upstream.accepted).toBe(1)
  },
)

test.each(['gzip', 'deflate', 'br'])('a body declared as %s that is not, or is incomplete, is an invalid response', async (encoding) => {
  await using upstream = await mockUpstream()
  const bytes = pack(Buffer.from('what was said'), encoding)
  for (const body of [Buffer.from('plain text that is not packed'), bytes.subarray(0, -4)]) {
    upstream.respond(() => ({ body, headers: { 'content-encoding': encoding } }))
    const error = await failure(fetchText(upstream.url, get()))
    expect(error).toMatchObject({ reason: 'invalid_response', message: 'the response could not be decompressed' })
    await upstream.quiet()
  }
})

test.each(['gzip', 'br', 'zstd'])('a packed body (%s) that is cut or stalls is what it would be unpacked', async (encoding) => {
  await using upstream = await mockUpstream()
  const half = pack(crypto.getRandomValues(Buffer.alloc(1000)), encoding).subarray(0, 500)
  const headers = { 'content-encoding': encoding }
  upstream.enqueue({ body: [half, { wait: 20 }], headers, end: 'cut' }, { body: [half, stall], headers })
  expect((await failure(fetchText(upstream.url, get()))).reason).toBe('interrupted')
  expect((await failure(fetchText(upstream.url, get({ idleTimeout: 40 })))).reason).toBe('timeout')
  await upstream.quiet({ closed: true })
})

test('what was packed piece by piece comes piece by piece', async () => {
  await using upstream = await mockUpstream()
  const packed: Buffer[] = []
  const gzip = createGzip().on('data', (piece: Buffer) => packed.push(piece))
  gzip.write('first')
  await new Promise<void>((resolve) => gzip.flush(() => setImmediate(resolve)))
  const first = Buffer.concat(packed)
  upstream.enqueue({ body: [first, stall], headers: { 'content-encoding': 'gzip' } })
  const { content } = await egress.request(upstream.url, get())
  expect(Buffer.concat((await content.read()) ?? []).toString()).toBe('first')
  const rest = content.read()
  content.cancel()
  expect(await rest).toBeUndefined()
  await upstream.quiet({ closed: true })
})

test.each(['gzip', 'br', 'zstd'])('a bomb (%s) is unpacked no further than it is read', async (encoding) => {
  const bomb = pack(Buffer.alloc(128 * limit), encoding)
  await using upstream = await mockUpstream()
  upstream.respond(() => ({ body: bomb, headers: { 'content-encoding': encoding } }))
  const { content } = await egress.request(upstream.url, get())
  const [piece] = (await content.read()) ?? []
  content.cancel()
  expect(piece?.length).toBeLessThanOrEqual(65_536)
  expect((await failure(fetchText(upstream.url, get()))).reason).toBe('too_large')
  await upstream.quiet()
})

describe('a bomb from a provider', () => {
  const zeros = Buffer.alloc(256 * 1024 * 1024)
  test.each(['gzip', 'br', 'zstd'])('in an error or instead of a response (%s)', async (encoding) => {
    const bomb = pack(zeros, encoding)
    const headers = { 'content-encoding': encoding, 'content-type': 'application/json' }
    await using on = await startRelay([
      { status: 500, headers, body: bomb },
      { headers, body: bomb },
      { headers: { ...headers, 'content-type': 'text/event-stream' }, body: bomb },
    ])
    const error = await on.post('/v1/chat/completions', chatBody)
    expect(error.status).toBe(500)
    expect((await error.text()).length).toBeLessThan(100_000)
    const whole = await on.post('/v1/chat/completions', chatBody)
    expect(whole.status).toBe(502)
    expect(await whole.json()).toMatchObject({ error: { code: 'upstream_response_too_large' } })
    expect(await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()).toContain('upstream_invalid_response')
    await on.upstream.quiet()
  })

  test('a compressed error, response and stream are read', async () => {
    const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' }
    await using on = await startRelay([
      { status: 429, headers, body: gzipSync('{"error":{"message":"Slow down"}}') },
      { headers, body: gzipSync(chatReply('Hi').body as string) },
      { headers: { ...headers, 'content-type': 'text/event-stream' }, body: gzipSync(chatFrames().join('')) },
    ])
    expect(await (await on.post('/v1/chat/completions', chatBody)).json()).toMatchObject({ error: { message: 'Slow down' } })
    const whole = await on.post('/v1/chat/completions', chatBody)
    expect(whole.headers.get('content-encoding')).toBeNull()
    expect(await whole.json()).toMatchObject({ choices: [{ message: { content: 'Hi' } }] })
    expect(dataOf(await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()).at(-1)).toBe('[DONE]')
    expect(upstreamRequests(on).map(({ headers: sent }) => sent['accept-encoding'])).toEqual([
      ...Array<string>(2).fill('gzip, deflate, br, zstd'),
      'identity',
    ])
  })
})
