import type { Call } from '../../call.ts'
import { httpUrl, text } from '../config-values.ts'
import { fieldOf, hasUrl, urlFieldOf } from './caller-credentials.ts'
import { typeByName } from './listing.ts'
import { withoutEndSlashes } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'

/** The older paths, which need `api-version` in the query: https://…/openai/deployments/NAME/chat/completions. */
const deployments = '/openai/deployments/'
/** The last version of the older API that is generally available. */
const defaultVersion = '2024-10-21'

/** A root of a resource, of `/openai` or of a deployment, completed; the path and query of an operation that follow a deployment are left out. */
export function completeAzureRoot(url: string): string {
  const [address = ''] = url.split('?', 1)
  const root = withoutEndSlashes(address)
  const path = new URL(root).pathname
  if (path === '/') return `${root}/openai/v1`
  const name = deploymentOf(root)
  if (name !== undefined) return root.slice(0, root.indexOf(deployments) + deployments.length) + name
  return path.endsWith('/openai') ? `${root}/v1` : root
}

/** The deployment that a root names, as it is spelled there. */
function deploymentOf(root: string): string | undefined {
  const at = root.indexOf(deployments)
  return at < 0 ? undefined : root.slice(at + deployments.length).split('/', 1)[0] || undefined
}

interface AzureConfig {
  readonly base_url?: string | null | undefined
  readonly url?: string | null | undefined
  readonly api_base?: string | null | undefined
  readonly api_version?: string | null | undefined
}

/** The configured version of the older API, or that of a URL that was copied with its query. */
function versionOf({ base_url, url, api_base, api_version }: AzureConfig): string {
  const named = base_url ?? url ?? api_base
  return api_version || (named && new URL(named).searchParams.get('api-version')) || defaultVersion
}

/** The query of one request; undefined at the v1 API, and where the caller's own URL brings it. */
function queryFor(call: Call, root: string, config: AzureConfig): { 'api-version': string } | undefined {
  const own = hasUrl(call, 'azure_api_base') ? urlFieldOf(call, 'azure_api_base').url : undefined
  if (deploymentOf(own ? own.pathname : root) === undefined || own?.searchParams.has('api-version')) return undefined
  return { 'api-version': fieldOf(call, 'azure_api_version') ?? (own ? defaultVersion : versionOf(config)) }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    // Not a percent-encoding: the name is used as it is written.
    return name
  }
}

export const azure = defineRemoteInference({
  type: 'remote::azure',
  description: 'Azure OpenAI, over its v1 API or the path of one deployment.',
  completeUrl: completeAzureRoot,
  key: {
    header: 'azure_api_key',
    variable: 'AZURE_API_KEY',
    // A key goes in a header of Azure's own; a token of Entra ID, which is a JWT, as a bearer.
    carry: (key): Record<string, string> =>
      key.startsWith('eyJ') && key.split('.').length === 3 ? { authorization: `Bearer ${key}` } : { 'api-key': key },
  },
  genAiName: 'azure.ai.openai',
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'azure' },
  fields: {
    api_base: httpUrl().nullish().describe('Deprecated alias of base_url.'),
    api_version: text()
      .nullish()
      .describe(
        `The version of the API, where base_url ends in /openai/deployments/NAME; default ${defaultVersion}. The v1 API has no versions.`,
      ),
    api_type: text().nullish().describe('Accepted for older files.'),
  },
  configuredUrl: (config) => config.api_base,
  callerFields: ['azure_api_version', 'azure_api_type'],
  callerUrl: { field: 'azure_api_base', complete: completeAzureRoot, rejectedWithRoot: false },
  starter: {
    id: 'azure',
    enabledBy: ['AZURE_API_KEY'],
    config: {
      base_url: '${env.AZURE_API_BASE:=}',
      api_key: '${env.AZURE_API_KEY:=}',
      api_version: '${env.AZURE_API_VERSION:=}',
      api_type: '${env.AZURE_API_TYPE:=}',
    },
  },
  overrides: ({ config, root }) => ({ query: (call) => queryFor(call, root, config) }),
  wrap(provider, { config, root, ping: reach }) {
    const name = deploymentOf(root)
    if (name === undefined) return provider
    const id = decoded(name)
    const type = typeByName(id)
    const resource = root.slice(0, root.indexOf(deployments))
    return {
      ...provider,
      // A deployment has no listing: it is the one model.
      listModels: async () => [{ id, type, ...(type === 'llm' && { typeIsGuess: true }), metadata: {} }],
      checkHealth: (call) => reach({ url: `${resource}/openai/models?api-version=${encodeURIComponent(versionOf(config))}` }, call),
    }
  },
})
