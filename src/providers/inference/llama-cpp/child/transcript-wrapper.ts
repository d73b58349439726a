import {
  ChatWrapper,
  LlamaText,
  SpecialToken,
  type ChatWrapperGenerateContextStateOptions,
  type ChatWrapperGeneratedContextState,
} from 'node-llama-cpp'

const opening = 'The following is a conversation with a helpful assistant.'

/**
 * The chat template for base models, which have none: the beginning of a written conversation is what such
 * a model continues best.
 */
export class TranscriptWrapper extends ChatWrapper {
  override readonly wrapperName: string = 'Transcript'

  override generateContextState({
    chatHistory,
    availableFunctions,
    documentFunctionParams,
  }: ChatWrapperGenerateContextStateOptions): ChatWrapperGeneratedContextState {
    const history = this.addAvailableFunctionsSystemMessageToHistory(chatHistory, availableFunctions, {
      documentParams: documentFunctionParams,
    })
    const parts: (LlamaText | string)[] = [opening, '\n\n']
    for (const [at, item] of history.entries()) {
      if (item.type === 'system') parts.push(LlamaText.fromJSON(item.text), '\n\n')
      else if (item.type === 'user') parts.push('User: ', item.text, '\n')
      else {
        const writer = this.generateModelResponseText(item.response)
        const isLast = at === history.length - 1
        // A space at the end would be half of the next token.
        if (writer.values.length === 0) parts.push('Assistant:')
        else parts.push('Assistant: ', writer, isLast ? '' : '\n')
      }
    }
    return {
      contextText: LlamaText([new SpecialToken('BOS'), ...parts]),
      stopGenerationTriggers: [LlamaText(new SpecialToken('EOS')), LlamaText('\nUser:'), LlamaText('\n\nUser:')],
      ignoreStartText: [LlamaText(' ')],
    }
  }
}
