import { z } from 'zod'
import { type LoadedConfig, type LoadOptions, loadConfig } from '../../src/config/load.ts'
import { ConfigErrors, type ConfigIssue, formatIssue } from '../../src/config/report.ts'
import { defineProvider, type PlannedProvider, type ProviderDefinition } from '../../src/providers/provider.ts'
import { Secret } from '../../src/secret.ts'

const secret = z.string().transform((text) => new Secret(text))

/** A provider whose settings are of every kind that a schema can ask for. */
export const sample = defineProvider({
  api: 'inference',
  type: 'remote::sample',
  description: 'A sample.',
  config: z.strictObject({
    base_url: z.string().default('https://sample.example/v1'),
    api_key: secret.nullish(),
    max_tokens: z.int().positive().nullish(),
    temperature: z.number().nullish(),
    refresh_models: z.boolean().nullish(),
    verify: z.union([z.boolean(), z.string()]).nullish(),
    mode: z.enum(['fast', 'slow']).nullish(),
    headers: z.record(z.string(), z.string()).nullish(),
    extra: z.record(z.string(), z.unknown()).nullish(),
    allowed_models: z.array(z.string()).nullish(),
    network: z.strictObject({ proxy: z.string().nullish(), timeout: z.number().nullish() }).nullish(),
  }),
  credentials: z.object({ sample_api_key: z.string() }).partial(),
  starter: { id: 'sample', enabledBy: ['SAMPLE_API_KEY'], config: { api_key: '${env.SAMPLE_API_KEY:=}' } },
  create: () => ({ hasOwnKey: false, invoke: {} }),
})

const strictUrl = defineProvider({
  api: 'inference',
  type: 'remote::strict-url',
  description: 'Needs its URL.',
  config: z.strictObject({ base_url: z.string() }),
  create: () => ({ hasOwnKey: true, invoke: {} }),
})

export const definitions: readonly ProviderDefinition[] = [sample, strictUrl]

export const planned: readonly PlannedProvider[] = [
  { api: 'inference', type: 'inline::later', planned: 'Comes later.' },
  { api: 'vector_io', type: 'inline::faiss', planned: 'not served yet.' },
]

/** Loads a text with the sample providers, an empty environment and a home of its own. */
export function load(text: string, options: LoadOptions = {}): Promise<LoadedConfig> {
  return loadConfig({ source: `${text}\n`, env: {}, home: '/home/me', cwd: '/nowhere', definitions, planned, ...options })
}

/** A file whose one provider is the sample, with these lines as its `config:`. */
export function withConfig(...lines: string[]): string {
  const config = lines.map((line) => `        ${line}`).join('\n')
  return `version: 2\nproviders:\n  inference:\n    - provider_id: one\n      provider_type: remote::sample\n      config:\n${config}`
}

/** A file with these lines below `server:`. */
export function withServer(...lines: string[]): string {
  return `version: 2\nproviders: {}\nserver:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

/** What `config:` of the only provider came out as. */
export async function settingsOf(text: string, options: LoadOptions = {}): Promise<Record<string, unknown>> {
  const { config } = await load(text, options)
  return config.providers[0]?.config as Record<string, unknown>
}

export async function issuesOf(text: string, options: LoadOptions = {}): Promise<readonly ConfigIssue[]> {
  try {
    await load(text, options)
  } catch (error) {
    if (error instanceof ConfigErrors) return error.issues
    throw error
  }
  throw new Error('The configuration loaded without an error.')
}

/** The errors as lines, with the place but without the file: `3:1 server.prot: unknown key. …`. */
export async function problems(text: string, options: LoadOptions = {}): Promise<string[]> {
  return (await issuesOf(text, options)).map((issue) => formatIssue(issue).replace(/^text:/, ''))
}

export async function warnings(text: string, options: LoadOptions = {}): Promise<string[]> {
  return (await load(text, options)).warnings.map((warning) => formatIssue(warning).replace(/^text:/, ''))
}
