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
    observed: 'the ledger takes whole, plausible numbers only; what cannot be read is estimated',
  },
  'VEN-4': {
    source: 'behaviour §17.3; the TEI API reference',
    when: 'a Text Embeddings Inference server is configured',
    observed: 'its one model is listed with its type, embeddings are relayed, and texts are reranked in its own form',
  },
  'VEN-5': {
    source: "llama.cpp's server README",
    when: 'a llama.cpp server is asked to rerank',
    observed: 'documents and top_n go to /rerank below its root, and the ranking comes back best first',
  },
  'VEN-6': {
    source: 'behaviour §17.3; released configurations of OGX 1.5',
    when: 'a configuration names a provider type of Llama Stack or OGX',
    observed: 'it is served, or known as one that is not served yet',
  },
}
