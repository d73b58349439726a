import type { AccessPolicy } from '../access/policy.ts'
import { createApp, type App } from '../app.ts'
import type { Config, ProviderEntry, RegisteredModel, ServerConfig } from '../config/config.ts'
import { openaiCompatible, type OpenAICompatibleOptions } from '../providers/inference/openai-compatible.ts'
import { defineProvider, type InferenceProvider, type ProviderDefinition } from '../providers/provider.ts'
import { listen } from '../runtime/serve.ts'
import { buildServices, type BuildOptions, type Services } from '../services.ts'
import { silentLog } from '../telemetry/logger.ts'
import { z } from 'zod'

export interface ConfigParts extends Partial<Omit<Config, 'models' | 'server'>> {
  models?: readonly (Partial<RegisteredModel> & { modelId: string })[]
  server?: Partial<ServerConfig>
}

const permitAll: AccessPolicy = { isDefault: true, decide: () => ({ allowed: true, explicit: false, reason: 'for tests' }) }

/** A configuration as the loader would hand it over, with the defaults of a server on a free port of loopback. */
export function testConfig({ models = [], server = {}, ...parts }: ConfigParts = {}): Config {
  return {
    distribution: 'test',
    apis: [],
    providers: [],
    models: models.map((model) => ({ type: 'llm', metadata: {}, ...model })),
    server: {
      port: 0,
      host: undefined,
      allowUnauthenticated: false,
      workers: 1,
      registryRefreshInterval: 300,
      maxBodyBytes: 32 * 1024 * 1024,
      uploadIdleTimeout: 30,
      streamHeadTimeout: 15,
      heartbeatInterval: 15,
      maxStreamSeconds: 3600,
      maxJsonMembers: 100_000,
      maxBufferedBodyBytes: 1024 * 1024 * 1024,
      maxRunningRequests: 10_000,
      drainTimeout: 5,
      trustedProxies: [],
      clientVersions: [],
      docsNeedAuth: true,
      ...server,
    },
    storage: { backends: {}, records: { engine: 'sqlite', path: ':memory:' }, recordsConfigured: true },
    accessPolicy: permitAll,
    quota: { limits: [] },
    egress: { allow: [] },
    home: '/nowhere/.corral',
    logging: { categoryLevels: {} },
    ...parts,
  }
}

/** An enabled provider, its `config` parsed by the definition's own schema. */
export function providerEntry<C>(definition: ProviderDefinition<C>, id: string, config: unknown = {}): ProviderEntry {
  const { type, api } = definition
  return { id, type, api, definition, config: definition.config.parse(config) }
}

/** A provider that is made of what the test says it can do. */
export function providerOf(
  id: string,
  provider: Partial<InferenceProvider> | (() => InferenceProvider),
  config: object = {},
): ProviderEntry {
  const definition = defineProvider({
    api: 'inference',
    type: 'remote::scripted',
    description: 'For tests.',
    config: z.looseObject({}),
    create: () => (typeof provider === 'function' ? provider() : { hasOwnKey: true, invoke: {}, ...provider }),
  })
  return providerEntry(definition, id, config)
}

/** A provider over an OpenAI-compatible upstream, which takes the key in the field `<id>_api_key` of the provider data, or `key`. */
export function upstreamProvider(
  id: string,
  url: string,
  options: Partial<OpenAICompatibleOptions> & { key?: string; config?: object } = {},
): ProviderEntry {
  const { key, config = {}, ...over } = options
  const field = `${id}_api_key`
  const definition = defineProvider({
    api: 'inference',
    type: 'remote::openai-compatible',
    description: 'For tests.',
    config: z.looseObject({}),
    create: (_config, deps) =>
      openaiCompatible(
        {
          baseUrl: `${url}/v1`,
          authorize({ providerData }) {
            const own = providerData[field]
            return { authorization: `Bearer ${typeof own === 'string' ? own : key}` }
          },
          hasOwnKey: key !== undefined,
          acceptsKeyOf: ({ providerData }) => typeof providerData[field] === 'string',
          capabilities: ['chat', 'completions', 'embeddings'],
          ...over,
        },
        deps,
      ),
  })
  return providerEntry(definition, id, config)
}

/** The whole server without a port. */
export interface TestApp extends AsyncDisposable {
  readonly app: App
  readonly services: Services
  /** `path` as in the URL, e.g. `/v1/models`. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Silent unless a log is given. */
export async function testApp(config: Config, options: BuildOptions = {}): Promise<TestApp> {
  const services = await buildServices(config, { log: silentLog, ...options })
  const app = createApp(services)
  return {
    app,
    services,
    fetch: (path, init) => app.fetch(new Request(`http://127.0.0.1${path}`, init)),
    [Symbol.asyncDispose]: () => services[Symbol.asyncDispose](),
  }
}

/** The whole server on a free port of loopback. */
export interface TestServer extends TestApp {
  /** Without a slash at its end. */
  readonly url: string
}

export async function testServer(config: Config, options: BuildOptions = {}): Promise<TestServer> {
  const inside = await testApp(config, options)
  const listener = listen({ port: 0, hostname: '127.0.0.1', fetch: inside.app.fetch })
  const url = `http://127.0.0.1:${listener.port}`
  return {
    ...inside,
    url,
    fetch: (path, init) => globalThis.fetch(url + path, init),
    async [Symbol.asyncDispose]() {
      await listener.stop()
      await inside[Symbol.asyncDispose]()
    },
  }
}
