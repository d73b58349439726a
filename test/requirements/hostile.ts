import type { Requirements } from './requirement.ts'

/** Requests and responses that are made to block the event loop, to lose text or to avoid charges. */
export const hostile: Requirements = {
  'HST-1': {
    source: 'design §3 rule 14',
    when: 'the JSON of a provider is nested deeper than 1,000 levels, or a response has thousands of choices',
    observed:
      'the first is a 502 and the second is relayed, both in time that grows with the size alone; errors that deep keep their status',
  },
  'HST-2': {
    source: 'openai-spec; design §6',
    when: 'a provider sends one chat completion for a requested stream, and its choices have a member `text` beside the message',
    observed: 'the stream has the message',
  },
  'HST-3': {
    source: 'openai-spec; openai-python',
    when: 'a provider sends another `object` than the schema requires, or a `created` that is not a whole number',
    observed: 'the caller gets the required object, and whole seconds; openai-python reads no chunk that has another object',
  },
  'HST-4': {
    source: 'design §6; docs/quotas.md',
    when: 'the usage that Corral requested for a stream cannot be read, or a provider reports no tokens for a response that has some',
    observed:
      'the chunk does not reach a caller that did not request usage; the ledger has an estimate, or the last report that could be read',
  },
  'HST-5': {
    source: 'design §6',
    when: 'a stream breaks off within a frame',
    observed: 'the error is upstream_interrupted, as between two frames, and the outcome is `truncated`',
  },
  'HST-6': {
    source: 'the Mistral API reference, "Reasoning"',
    when: 'a stream that was not requested has content as a list of parts in some chunks and as text in others',
    observed: 'the one response has all of it, as a list of parts',
  },
  'HST-7': {
    source: 'field report 53',
    when: 'a rerank request names a field several times in `rank_fields`, or more than 64 fields; a ranking names a document twice',
    observed:
      'the field counts once; more than 64 are a 400; such a ranking is a 502: with `return_documents` it would copy the document each time',
  },
  'HST-8': {
    source: 'OpenAI SDKs; the Jina and vLLM references on multi-vector embeddings',
    when: 'a provider sends a list of vectors for each input although base64 was requested, or `data` that is not a list',
    observed: 'the caller gets the vectors unchanged; the latter is a 502',
  },
}
