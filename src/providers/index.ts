import { anthropic } from './inference/anthropic.ts'
import { azure } from './inference/azure.ts'
import { bedrock } from './inference/bedrock.ts'
import { cerebras } from './inference/cerebras.ts'
import { databricks } from './inference/databricks.ts'
import { deepinfra } from './inference/deepinfra.ts'
import { deepseek } from './inference/deepseek.ts'
import { fireworks } from './inference/fireworks.ts'
import { gemini } from './inference/gemini.ts'
import { openaiCompatibleServer } from './inference/generic.ts'
import { groq } from './inference/groq.ts'
import { hfEndpoint } from './inference/hf-endpoint.ts'
import { hfServerless } from './inference/hf-serverless.ts'
import { llamaCppServer } from './inference/llama-cpp-server.ts'
import { llamaOpenaiCompat } from './inference/llama-openai-compat.ts'
import { lmstudio } from './inference/lmstudio.ts'
import { meta } from './inference/meta.ts'
import { mistral } from './inference/mistral.ts'
import { nvidia } from './inference/nvidia.ts'
import { ollama } from './inference/ollama.ts'
import { openai } from './inference/openai.ts'
import { openrouter } from './inference/openrouter.ts'
import { passthrough } from './inference/passthrough.ts'
import { perplexity } from './inference/perplexity.ts'
import { runpod } from './inference/runpod.ts'
import { sambanova } from './inference/sambanova.ts'
import { textEmbeddingsInference } from './inference/text-embeddings-inference.ts'
import { tgi } from './inference/tgi.ts'
import { together } from './inference/together.ts'
import { vllm } from './inference/vllm.ts'
import { watsonx } from './inference/watsonx.ts'
import { xai } from './inference/xai.ts'
import { loadDefinition } from './load-definition.ts'
import type { ProviderDefinition } from './provider.ts'

export { plannedProviders } from './planned.ts'

/** A provider in a package of its own, which is loaded as the module of a configuration is (`module:`). */
const embeddedModel = new URL('./inference/llama-cpp/index.ts', import.meta.url)

/** Every provider that is served, in the order of `corral list providers` and of the starter distribution. */
const served: readonly (ProviderDefinition | URL)[] = [
  openai,
  anthropic,
  gemini,
  groq,
  cerebras,
  fireworks,
  together,
  sambanova,
  mistral,
  deepseek,
  xai,
  openrouter,
  perplexity,
  deepinfra,
  nvidia,
  azure,
  bedrock,
  databricks,
  watsonx,
  runpod,
  meta,
  llamaOpenaiCompat,
  hfServerless,
  hfEndpoint,
  ollama,
  lmstudio,
  vllm,
  llamaCppServer,
  tgi,
  textEmbeddingsInference,
  embeddedModel,
  passthrough,
  openaiCompatibleServer,
]

/** Those that are not separate packages. */
export const providerDefinitions: readonly ProviderDefinition[] = served.flatMap((one) => (one instanceof URL ? [] : [one]))

/** All of them, loaded. */
export async function loadProviderDefinitions(): Promise<readonly ProviderDefinition[]> {
  return await Promise.all(served.map(async (one) => (one instanceof URL ? await loadPackage(one) : one)))
}

async function loadPackage({ href }: URL): Promise<ProviderDefinition> {
  const loaded = await loadDefinition(href)
  if (loaded.kind === 'definition') return loaded.definition
  throw new Error(`The provider in ${href} cannot be loaded: ${loaded.message}.`)
}
