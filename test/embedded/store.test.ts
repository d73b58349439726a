import { describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { diskError, PullError } from '../../src/providers/inference/llama-cpp/store/pull-error.ts'
import { pull, parseModelSource } from '../../src/providers/inference/llama-cpp/store/pull.ts'
import { listLocalModels, removeLocalModel } from '../../src/providers/inference/llama-cpp/store/store.ts'
import { mockUpstream } from '../../src/testing/index.ts'
import { tinyModel } from '../../src/testing/tiny-model.ts'
import { failure, freshFolder, fromHub, hub, known, model, options, part, sha256 } from './model-sources.ts'
import { until } from './embedded-server.ts'

const folder = freshFolder()

/** A hub that says of its file what its SHA-256 is, and redirects to it. */
function tagged(tag: string) {
  return hub((request, seen) => {
    if (!seen.path.startsWith('/owner')) return part(seen)
    return new Response(null, { status: 302, headers: { location: new URL('/cdn/x', request.url).href, 'x-linked-etag': `"${tag}"` } })
  })
}

describe('a model of the hub', () => {
  test('is fetched, checked and listed with where it came from', async () => {
    using at = hub((_, seen) => part(seen))
    const progress: number[] = []
    await pull(known, options(folder(), { hub: at.url }, { onProgress: (done) => void progress.push(done) }))
    expect(at.seen[0]?.path).toBe('/owner/repo/resolve/main/thing.gguf')
    expect(progress.at(-1)).toBe(model.length)
    expect(await listLocalModels(folder())).toMatchObject([
      { name: 'thing', size: model.length, sha256, licence: 'MIT', source: 'hf:owner/repo/thing.gguf' },
    ])
    expect(readdirSync(folder()).toSorted()).toEqual(['thing.gguf', 'thing.json'])
    await pull(known, options(folder(), { hub: at.url }))
    expect(at.seen).toHaveLength(1)
  })

  test('[EMB-3] is continued where the transfer is cut, at once and by the next attempt', async () => {
    await using upstream = await mockUpstream()
    const whole = { 'content-length': String(model.length) }
    upstream.enqueue({ headers: whole, body: model.slice(0, 300_000), end: 'cut' })
    upstream.respond(({ headers }) => {
      const start = Number(/bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1])
      return { status: 206, headers: { 'content-range': `bytes ${start}-${model.length - 1}/${model.length}` }, body: model.slice(start) }
    })
    await pull(known, options(folder(), { hub: upstream.url }))
    // What arrives together with the end of the connection may be lost.
    expect(upstream.requests.map(({ headers }) => headers['range'] ?? 'all')).toEqual(['all', expect.stringMatching(/^bytes=[1-9]\d*-$/)])
    expect(readFileSync(join(folder(), 'thing.gguf')).equals(Buffer.from(model))).toBeTrue()
  })

  test('is fetched anew where what was there is of another file', async () => {
    mkdirSync(folder(), { recursive: true })
    writeFileSync(join(folder(), 'thing.gguf.part'), 'GGUF of something else')
    using at = hub((_, seen) => part(seen))
    await pull(known, options(folder(), { hub: at.url }))
    expect(at.seen.map(({ range }) => range)).toEqual(['bytes=22-', null])
    expect(await listLocalModels(folder())).toMatchObject([{ name: 'thing', sha256 }])
  })

  test('[EMB-3] that is not what it should be is refused and deleted', async () => {
    const wrong = model.slice()
    wrong[wrong.length - 1] = 1
    using at = hub((_, seen) => part(seen, wrong))
    expect((await failure(pull(known, options(folder(), { hub: at.url })))).message).toContain('SHA-256')
    expect(readdirSync(folder())).toEqual([])
  })

  test('outside the catalogue is checked by the checksum of the hub', async () => {
    using lies = tagged('0'.repeat(64))
    expect((await failure(pull(fromHub, options(folder(), { hub: lies.url })))).message).toContain('checksum of the hub')
    using at = tagged(sha256)
    expect(await pull(fromHub, options(folder(), { hub: at.url }))).toMatchObject({ name: 'thing', sha256 })
  })

  test('sends its token to the hub and not to hosts that it redirects to', async () => {
    using cdn = hub((_, seen) => part(seen))
    using at = hub(() => new Response(null, { status: 307, headers: { location: `${cdn.url}/signed` } }))
    await pull(known, options(folder(), { hub: at.url, token: 'hf_secret' }))
    expect(at.seen.map(({ authorization }) => authorization)).toEqual(['Bearer hf_secret'])
    expect(cdn.seen.map(({ authorization }) => authorization)).toEqual([null])
  })

  test.each([
    [404, 'has no'],
    [401, 'refuses access to'],
    [403, 'refuses access to'],
  ])('with status %d is explained', async (status, text) => {
    using at = hub(() => new Response('no', { status }))
    const error = await failure(pull(known, options(folder(), { hub: at.url })))
    expect(error.message).toContain(text)
    expect(error.remedy).toBeString()
  })

  test('must be a GGUF file', async () => {
    const page = new TextEncoder().encode('<html>log in</html>')
    using at = hub((_, seen) => part(seen, page))
    expect((await failure(pull(fromHub, options(folder(), { hub: at.url })))).message).toContain('not in the GGUF format')
    expect(readdirSync(folder())).toEqual([])
  })

  test('stops when asked to, and keeps what it has', async () => {
    const stop = new AbortController()
    using at = hub(() => {
      const head = model.slice(0, 100_000)
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(head),
          cancel: () => undefined,
        }),
      )
    })
    const error: unknown = await pull(
      known,
      options(folder(), { hub: at.url }, { signal: stop.signal, onProgress: () => stop.abort() }),
    ).catch((reason: unknown) => reason)
    expect(error).toBe(stop.signal.reason)
    expect(readdirSync(folder())).toEqual(['thing.gguf.part'])
    expect(await removeLocalModel(folder(), 'thing')).toBeTrue()
    expect(readdirSync(folder())).toEqual([])
  })

  test('is fetched by one process at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    using at = hub(async (_, seen) => {
      await promise
      return part(seen)
    })
    const first = pull(known, options(folder(), { hub: at.url }))
    await until(() => at.seen.length === 1)
    expect((await failure(pull(known, options(folder(), { hub: at.url })))).reason).toBe('busy')
    expect((await failure(removeLocalModel(folder(), 'thing'))).reason).toBe('busy')
    resolve()
    expect(await first).toMatchObject({ name: 'thing' })
  })

  test('is fetched after a process that died while it held the lock', async () => {
    mkdirSync(folder(), { recursive: true })
    const gone = Bun.spawnSync([process.execPath, '-e', '0'])
    writeFileSync(join(folder(), 'thing.lock'), JSON.stringify({ pid: gone.pid, host: hostname() }))
    using at = hub((_, seen) => part(seen))
    expect(await pull(known, options(folder(), { hub: at.url }))).toMatchObject({ name: 'thing' })
    expect(existsSync(join(folder(), 'thing.lock'))).toBeFalse()
  })

  test('is not begun where there is no room for it', async () => {
    // More than any disk has: the announcement is enough.
    const server = Bun.listen({
      port: 0,
      hostname: '127.0.0.1',
      socket: { data: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 900000000000000\r\n\r\nGGUF') },
    })
    const error = await failure(pull(fromHub, options(folder(), { hub: `http://127.0.0.1:${server.port}` })))
    server.stop(true)
    expect(error.message).toContain('Not enough disk space')
    expect(error.remedy).toContain('CORRAL_HOME')
  })

  test('on a disk that fills up has a clear error', async () => {
    if (!existsSync('/dev/full')) return
    const error: unknown = await Bun.write('/dev/full', 'x').catch((reason: unknown) => reason)
    expect((diskError(error, folder()) as PullError).message).toContain('full')
  })
})

describe('a model on this machine', () => {
  test('is taken from a file, a folder, and a folder in the form of the hub', async () => {
    const own = join(folder(), '..', 'own')
    mkdirSync(join(own, 'models--owner--repo/snapshots/abc'), { recursive: true })
    writeFileSync(join(own, 'models--owner--repo/snapshots/abc/thing.gguf'), model)
    expect(await pull(known, options(folder(), {}, { from: own }))).toMatchObject({ name: 'thing', sha256, licence: 'MIT' })
    writeFileSync(join(own, 'My Model.gguf'), model)
    expect(await pull(parseModelSource(own, '/'), options(folder(), {}))).toMatchObject({ name: 'my-model', sha256 })
    await removeLocalModel(folder(), 'my-model')
    expect(await pull(parseModelSource('./My Model.gguf', own), options(folder(), {}))).toMatchObject({ name: 'my-model' })
    expect((await listLocalModels(folder())).map(({ name }) => name)).toEqual(['my-model', 'thing'])
  })

  test.each([
    ['nothing', 'does not exist'],
    ['no model', 'no GGUF file in'],
    ['several', 'several GGUF files'],
  ])('is refused with a reason: %s', async (name, text) => {
    const place = join(folder(), '..', name)
    if (name !== 'nothing') mkdirSync(place)
    if (name === 'several') for (const file of ['a.gguf', 'b.gguf']) writeFileSync(join(place, file), model)
    expect((await failure(pull({ kind: 'path', path: place }, options(folder(), {})))).message).toContain(text)
  })

  test('of the catalogue must be the one of the catalogue', async () => {
    mkdirSync(folder(), { recursive: true })
    const path = join(folder(), '..', 'thing.gguf')
    writeFileSync(path, tinyModel({ words: ['other'] }))
    expect((await failure(pull(known, options(folder(), {}, { from: path })))).message).toContain('SHA-256')
  })
})

describe('the argument of a model pull', () => {
  test('is read', () => {
    expect(parseModelSource('qwen3-0.6b', '/')).toMatchObject({ kind: 'catalogue', model: { name: 'qwen3-0.6b' } })
    expect(parseModelSource('hf:a/b/c/D_E.gguf@v1', '/')).toEqual({
      kind: 'hub',
      name: 'd_e',
      repo: 'a/b',
      file: 'c/D_E.gguf',
      revision: 'v1',
    })
    expect(parseModelSource('x/y.gguf', '/tmp')).toEqual({ kind: 'path', path: '/tmp/x/y.gguf' })
  })

  test.each(['hf:a/b', 'hf:a/b/../../c.gguf', 'hf:a/b/c.bin', 'no-such-model'])('%s is refused', (text) => {
    expect(() => parseModelSource(text, '/')).toThrow(PullError)
  })
})
