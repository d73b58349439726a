import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import type { ConfigWarning } from '../../src/config/report.ts'
import { loadProviderDefinitions } from '../../src/providers/index.ts'
import type { ProviderDefinition } from '../../src/providers/provider.ts'
import { chatReply, jsonReply, mockUpstream, type MockUpstream, modelsReply, type TestServer, testServer } from '../../src/testing/index.ts'

const allDefinitions = await loadProviderDefinitions()

/** What became of one file. */
interface ServedFile {
  /** Ids of the enabled providers of a type that Corral has, as the file lists them, each once. */
  readonly expected: readonly string[]
  /** Paths of the enabled providers that Corral does not have, e.g. `providers.safety[0]`. */
  readonly unserved: readonly string[]
  /** Those that the running server lists and that complete a chat. */
  readonly served: readonly string[]
  readonly warnings: readonly ConfigWarning[]
  /** Status of GET /v1/health. */
  readonly health: number
}

/**
 * Loads a file, serves it, and asks the server what it serves. Every variable that the file refers to and gives no default has a placeholder; all
 * providers reach a mock upstream in place of their own; its databases are not there. Throws ConfigErrors or StartError.
 */
export async function serveFile(path: string): Promise<ServedFile> {
  const home = mkdtempSync(join(tmpdir(), 'corral-released-'))
  await using upstream = await mockUpstream()
  upstream.respond(({ path: asked }) => (asked.endsWith('/models') ? modelsReply(['a-model']) : anyReply))
  try {
    const text = readFileSync(path, 'utf8')
    const definitions = allDefinitions.map((definition) => redirected(definition, upstream))
    const env = { ...placeholders(text), HOME: home }
    const { config, warnings } = await loadConfig({ source: path, env, cwd: home, home, definitions })
    await using server = await testServer(config)
    const { status } = await server.fetch('/v1/health')
    const { data } = (await (await server.fetch('/v1/providers')).json()) as { data: { api: string; provider_id: string }[] }
    const served: string[] = []
    for (const { api, provider_id } of data) if (api === 'inference' && (await completes(server, provider_id))) served.push(provider_id)
    return { ...enabledProviders(text), served, warnings, health: status }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A completion, and what watsonx (a token) and Hugging Face (an account, an endpoint) look up before one. */
const anyReply = jsonReply({
  ...(JSON.parse(chatReply('Hello.').body as string) as object),
  access_token: 'token',
  name: 'account',
  model: { repository: 'a-model' },
  status: { state: 'running', url: 'http://127.0.0.1:9' },
})

async function completes(server: TestServer, provider: string): Promise<boolean> {
  const messages = [{ role: 'user', content: 'Hello?' }]
  const { status } = await server.fetch('/v1/chat/completions', {
    method: 'POST',
    // Older files leave Bedrock's credentials to the AWS SDK for Python: here the caller brings the key.
    headers: {
      'content-type': 'application/json',
      'x-llamastack-provider-data': JSON.stringify({ aws_bearer_token_bedrock: 'key' }),
    },
    body: JSON.stringify({ model: `${provider}/a-model`, messages }),
  })
  return status === 200
}

/** A value for every variable without a default, or with an empty one, each another. */
function placeholders(text: string): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [, name = '', operator = ''] of text.matchAll(/\$\{env\.([A-Z0-9_]+)([^}]*)\}/g)) {
    const hasDefault = /^:(=.|[^=+])/.test(operator)
    if (!hasDefault) env[name] = /URL|HOST|ENDPOINT|API_BASE/.test(name) ? 'http://127.0.0.1:9/v1' : `placeholder-${name.toLowerCase()}`
  }
  return env
}

function redirected(definition: ProviderDefinition, upstream: MockUpstream): ProviderDefinition {
  if (definition.api !== 'inference') return definition
  return {
    ...definition,
    create: (config, deps) =>
      definition.create(config, {
        ...deps,
        egress: { request: (url, options) => deps.egress.request(upstream.url + new URL(String(url)).pathname, options) },
      }),
  }
}

interface Entry {
  readonly provider_id: string | null
  readonly provider_type: string
}

/** What a file switches on where every variable of a conditional id is set. */
function enabledProviders(text: string): Pick<ServedFile, 'expected' | 'unserved'> {
  const { providers } = parse(text) as { providers: Record<string, Entry[] | null> }
  const expected = new Set<string>()
  const unserved: string[] = []
  for (const [api, entries] of Object.entries(providers)) {
    for (const [index, { provider_id, provider_type }] of (entries ?? []).entries()) {
      const id = (provider_id ?? '').replace(/^\$\{env\.[A-Z0-9_]+:?\+(.*)\}$/, '$1')
      if (id === '' || id === '__disabled__') continue
      if (allDefinitions.some((one) => one.api === api && one.type === provider_type)) expected.add(id)
      // Tracing is part of this server.
      else if (api !== 'telemetry') unserved.push(`providers.${api}[${index}]`)
    }
  }
  return { expected: [...expected], unserved }
}
