import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

/** Plugins and tools that ask no other model (https://openrouter.ai/docs/guides/features/plugins, …/server-tools). Fusion, routers, advisors do. */
const plainPlugins = new Set(['web', 'web-fetch', 'file-parser', 'response-healing', 'context-compression', 'moderation'])
const plainTools = new Set(['function', 'custom', ...['web_search', 'web_fetch', 'datetime'].map((name) => `openrouter:${name}`)])

function chosenIn({ plugins, tools }: Readonly<Record<string, unknown>>): string | undefined {
  if (!allOf(plugins, ({ id }) => plainPlugins.has(id as string))) return 'plugins'
  return allOf(tools, ({ type }) => plainTools.has(type as string)) ? undefined : 'tools'
}

/** Also where nothing is given. */
function allOf(list: unknown, isPlain: (entry: Readonly<Record<string, unknown>>) => boolean): boolean {
  if (list === undefined || list === null) return true
  if (!Array.isArray(list)) return false
  return list.every((entry: unknown) => typeof entry === 'object' && entry !== null && isPlain(entry as Record<string, unknown>))
}

const baseUrl = 'https://openrouter.ai/api/v1'

export const openrouter = defineRemoteInference({
  type: 'remote::openrouter',
  description: 'OpenRouter.',
  baseUrl,
  key: { header: 'openrouter_api_key', variable: 'OPENROUTER_API_KEY' },
  // https://openrouter.ai/docs: `models` and `route` are fallbacks, a preset may bring models of its own.
  furtherModels: { opaque: ['route', 'preset'], chosenIn },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'openrouter', reportsCost: true },
  starter: hostedStarter('openrouter', 'OPENROUTER_API_KEY', { variable: 'OPENROUTER_BASE_URL', default: baseUrl }),
})
