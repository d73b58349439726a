import type { Requirements } from './requirement.ts'

/** What differs from provider to provider: their usage and prices, their types, roots and forms. */
export const vendors: Requirements = {
  'VEN-1': {
    source: 'field report 58; docs/quotas.md',
    when: 'a provider reports cached tokens in several places, or beside its input tokens',
    observed: 'the largest count that the input can hold is charged at the price of cached input, each token once',
  },
  'VEN-2': {
    source: 'docs.x.ai, "Cost Tracking"; docs/quotas.md',
    when: 'xAI reports the cost in ticks of 1e-10 US dollars',
    observed: 'that is the cost in the ledger, unless the operator set a price',
  },
  'VEN-3': {
    source: 'field report 58; docs/quotas.md',
    when: 'a provider reports counts or costs of the wrong type or size',
    observed: 'the ledger takes whole numbers within bounds only; what cannot be read is estimated',
  },
  'VEN-4': {
    source: 'behaviour §17.3; the TEI API reference',
    when: 'a Text Embeddings Inference server is configured',
    observed: 'its one model is listed with its type, embeddings are relayed, and texts are reranked in its own form',
  },
  'VEN-5': {
    source: "llama.cpp's server README",
    when: 'a rerank request is sent to a llama.cpp server',
    observed: 'documents and top_n go to /rerank below its root, and the ranking comes back best first',
  },
  'VEN-6': {
    source: 'behaviour §17.3; released configurations of OGX 1.5',
    when: 'a configuration names a provider type of Llama Stack or OGX',
    observed: 'it is served, or known as one that is not served yet',
  },
  'VEN-7': {
    source: 'field report 79; the Azure OpenAI REST reference',
    when: 'the root of Azure ends in /openai or /openai/deployments/NAME, configured or named by a caller',
    observed: 'the v1 API is used for the first; the second is kept, with api-version in the query, and lists its deployment',
  },
  'VEN-8': {
    source: 'field report 64; the watsonx.ai API reference',
    when: 'watsonx is given a space in place of a project, in the file, by the caller or in the body',
    observed: 'exactly one of space_id and project_id is sent; without either the request is a 400 that names the remedy',
  },
  'VEN-9': {
    source: 'the Amazon Bedrock user guide, "Get list of models"; behaviour §17.3',
    when: 'Bedrock is configured, by any of its names for the key',
    observed: 'its models are listed: by the AWS API beside bedrock-runtime, else in the form of OpenAI',
  },
  'VEN-10': {
    source: 'field report 53; the rerank references of Cohere (v1, v2) and Jina',
    when: 'a client reranks at /v1/rerank, /v2/rerank or /rerank',
    observed:
      'documents as texts or objects go to any provider that reranks; results name their positions, best first, with documents on request',
  },
  'VEN-11': {
    source: 'field report 53; docs/quotas.md',
    when: 'such a request is limited, refused, charged or fails',
    observed: 'policies, model types, limits, ledger, metrics and errors are those of every other request to a model',
  },
}
