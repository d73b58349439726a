import type { Gateway } from './gateway.ts'

/** Plugins and tools that use no other model (https://openrouter.ai/docs/guides/features/plugins, …/server-tools). Fusion, routers, advisors do. */
const plainPlugins = new Set(['web', 'web-fetch', 'file-parser', 'response-healing', 'context-compression', 'moderation'])
const plainTools = new Set(['function', 'custom', ...['web_search', 'web_fetch', 'datetime'].map((name) => `openrouter:${name}`)])

/** OpenRouter, beside what every gateway has. */
export const openrouterGateway: Gateway = {
  host: 'openrouter.ai',
  fallbackModels: {
    // https://openrouter.ai/docs: `models` and `route` are fallbacks, a preset may bring models of its own.
    uncheckable: ['route', 'preset'],
    inspected: ['plugins', 'tools'],
    findModelChoice,
  },
}

function findModelChoice({ plugins, tools }: Readonly<Record<string, unknown>>): string | undefined {
  if (!allOf(plugins, ({ id }) => plainPlugins.has(id as string))) return 'plugins'
  return allOf(tools, ({ type }) => plainTools.has(type as string)) ? undefined : 'tools'
}

/** Also where nothing is given. */
function allOf(list: unknown, isPlain: (entry: Readonly<Record<string, unknown>>) => boolean): boolean {
  if (list === undefined || list === null) return true
  if (!Array.isArray(list)) return false
  return list.every((entry: unknown) => typeof entry === 'object' && entry !== null && isPlain(entry as Record<string, unknown>))
}
