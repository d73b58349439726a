import type { Token } from 'node-llama-cpp'
import { invalidRequest } from '../../../child-contract.ts'
import type { LoadedModel } from './host.ts'

/** Text, texts, tokens or token lists, as lists of tokens. Throws ApiError 400 for a number that is not a token. */
export function toTokenLists(input: string | readonly unknown[], param: string, { model }: LoadedModel): Token[][] {
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length
  const tokens = (list: readonly unknown[], path: string): Token[] =>
    list.map((token, at) => {
      if (typeof token === 'number' && Number.isInteger(token) && token >= 0 && token < vocabulary) return token as Token
      throw invalidRequest(`${String(token)} is not a token of this model.`, { param: `${path}[${at}]` })
    })
  if (typeof input === 'string') return [model.tokenize(input)]
  if (input.length === 0) return [[]]
  if (typeof input[0] === 'number') return [tokens(input, param)]
  return input.map((item, at) => (typeof item === 'string' ? model.tokenize(item) : tokens(item as unknown[], `${param}[${at}]`)))
}
