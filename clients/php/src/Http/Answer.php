<?php
declare(strict_types=1);

namespace Coolify\Coold\Http;

use Coolify\Coold\Exception\Disconnected;
use JsonException;

/** An answer that came whole. */
final readonly class Answer
{
    public function __construct(public int $status, public string $body)
    {
    }

    /** @return array<mixed>|null null: it has no body @throws Disconnected where it is no JSON */
    public function json(): ?array
    {
        if ($this->body === '') {
            return null;
        }
        try {
            $value = json_decode($this->body, true, flags: JSON_THROW_ON_ERROR);
        } catch (JsonException $error) {
            throw new Disconnected("the broker's answer is no JSON: {$error->getMessage()}");
        }
        return is_array($value) ? $value : throw new Disconnected("the broker's answer is neither an object nor a list");
    }
}
