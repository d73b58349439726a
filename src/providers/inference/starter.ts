import type { StarterEntry } from '../provider.ts'

/** The starter entry of most hosted providers: enabled when its key, or a root other than the default, is in the environment. */
export function hostedStarter(id: string, key: string, url: { variable: string; default: string }, keyField = 'api_key'): StarterEntry {
  return {
    id,
    enabledBy: [key, url.variable],
    config: { base_url: `\${env.${url.variable}:=${url.default}}`, [keyField]: `\${env.${key}:=}` },
  }
}

/** The starter entry of a local server: enabled when its URL is in the environment, or when it responds at its default port. */
export function localStarter(id: string, variable: string, defaultUrl: string): StarterEntry {
  return { id, enabledBy: [variable], config: { base_url: `\${env.${variable}:=${defaultUrl}}` }, probe: defaultUrl }
}
