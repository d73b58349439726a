import { afterEach, describe, expect, test } from 'bun:test'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { formatIssue } from '../../src/config/report.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { loadProviderDefinitions } from '../../src/providers/index.ts'
import { defineProvider, type StarterEntry } from '../../src/providers/provider.ts'
import { load, sample } from './loading.ts'

const allDefinitions = await loadProviderDefinitions()

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** A loopback server that sends this response to every request, or, without one, never responds. Returns its root. */
async function listen(script?: { status: number; body: string }): Promise<string> {
  const server = createServer((_request, response) => {
    if (script) response.writeHead(script.status, { 'content-type': 'application/json' }).end(script.body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function local(id: string, starter: Partial<StarterEntry>) {
  return defineProvider({
    api: 'inference',
    type: `remote::${id}`,
    description: id,
    config: z.strictObject({ base_url: z.string(), api_token: z.string().nullish() }),
    starter: { id, enabledBy: [`${id.toUpperCase()}_URL`], config: { base_url: `\${env.${id.toUpperCase()}_URL:=}` }, ...starter },
    create: () => ({ hasOwnKey: true, invoke: {} }),
  })
}

const embedded = defineProvider({
  api: 'inference',
  type: 'inline::embedded',
  description: 'Needs nothing.',
  config: z.strictObject({}),
  starter: { id: 'embedded', enabledBy: [], config: {} },
  create: () => ({ hasOwnKey: true, invoke: {} }),
})

const started = async (options: Parameters<typeof load>[1]) =>
  (await load('', { source: 'starter', ...options })).config.providers.map((one) => one.id)

const needAnAddress = ['remote::databricks', 'remote::azure', 'remote::runpod', 'remote::vllm', 'remote::passthrough']

describe('what the environment enables', () => {
  const definitions = [sample, embedded]

  test('nothing set: what needs nothing is there', async () => {
    const { config, origin } = await load('', { source: undefined, definitions })
    expect([config.distribution, config.providers.map((one) => one.id)]).toEqual(['starter', ['embedded']])
    expect(origin).toEqual({ kind: 'distribution', name: 'starter' })
  })

  test('a variable switches its provider on, with white space around it or not; an empty one does not', async () => {
    expect(await started({ definitions, env: { SAMPLE_API_KEY: ' \n' } })).toEqual(['embedded'])
    const { config } = await load('', { source: 'starter', definitions, env: { SAMPLE_API_KEY: ' 0123\n' } })
    expect(config.providers.map((one) => one.id)).toEqual(['sample', 'embedded'])
    expect((config.providers[0]!.config as { api_key: { reveal(): string } }).api_key.reveal()).toBe('0123')
  })

  for (const definition of allDefinitions.filter((one) => one.starter)) {
    for (const variable of definition.starter!.enabledBy) {
      test(`${variable} enables ${definition.type}`, async () => {
        const value = /URL|HOST|BASE|ENDPOINT/.test(variable) ? 'https://provider.example/v1' : '12345678'
        const { config, warnings } = await load('', { source: 'starter', definitions: [definition], env: { [variable]: value } })
        const notes = warnings.map(formatIssue).join()
        // A key alone is not enough where the provider's address is the caller's own.
        if (notes.includes('base_url is required')) expect(definition.type).toBeOneOf(needAnAddress)
        else expect([config.providers.map((one) => one.type), notes]).toEqual([[definition.type], ''])
      })
    }
  }
})

test('a provider that lacks an address is left out with a warning, and the others start', async () => {
  const half = defineProvider({
    ...local('half', {}),
    starter: { id: 'half', enabledBy: ['HALF_KEY'], config: { base_url: '${env.HALF_URL:=}', api_token: '${env.HALF_KEY:=}' } },
  })
  const { config, warnings } = await load('', { source: 'starter', definitions: [half, embedded], env: { HALF_KEY: 'sk-123456' } })
  expect(config.providers.map((one) => one.id)).toEqual(['embedded'])
  expect(warnings.map(formatIssue)).toEqual([
    "starter:7:7 providers.inference[0]: 'half' is left out: base_url is required, but ${env.HALF_URL:=} is empty",
  ])
})

describe('local servers', () => {
  const listing = { status: 200, body: '{"object":"list","data":[]}' }

  test('a server that responds at its default port is enabled with that address; refused, wrong and silent ones are not', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const goneAt = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`
    await new Promise((resolve) => gone.close(resolve))
    const there = await listen(listing)
    const definitions = [
      local('there', { probe: there }),
      local('also', { probe: `${await listen({ status: 200, body: '{"object":"list","data":null}' })}/v1` }),
      local('fixed', { probe: there, config: { base_url: `${there}/v1` } }),
      local('refused', { probe: goneAt }),
      local('page', { probe: await listen({ status: 200, body: '<html>' }) }),
      local('other', { probe: await listen({ status: 200, body: '{"ok":true}' }) }),
      local('locked', { probe: await listen({ status: 401, body: '{}' }) }),
      local('silent', { probe: await listen() }),
      embedded,
    ]
    const { config } = await load('', { source: 'starter', definitions, egress: createEgress() })
    expect(config.providers.map((one) => [one.id, (one.config as { base_url?: string }).base_url])).toEqual([
      ['there', `${there}/v1`],
      ['also', definitions[1]?.starter?.probe],
      ['fixed', `${there}/v1`],
      ['embedded', undefined],
    ])
  })

  test('a variable counts before the usual port, which is then not asked', async () => {
    const asked: string[] = []
    const egress = {
      request: (url: string) => {
        asked.push(url)
        return Promise.reject(new Error('not there'))
      },
    }
    const definitions = [local('one', { probe: 'http://localhost:1/v1' }), local('two', { probe: 'http://localhost:2' })]
    const { config } = await load('', { source: 'starter', definitions, egress, env: { ONE_URL: 'http://elsewhere/v1' } })
    expect(config.providers.map((one) => (one.config as { base_url: string }).base_url)).toEqual(['http://elsewhere/v1'])
    expect(asked).toEqual(['http://localhost:2/v1/models'])
  })

  test('the wait ends although a request heeds no signal', async () => {
    const definitions = [local('deaf', { probe: 'http://localhost:1' }), embedded]
    const { promise } = Promise.withResolvers<never>()
    expect(await started({ definitions, egress: { request: () => promise } })).toEqual(['embedded'])
  })
})
