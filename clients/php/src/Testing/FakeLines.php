<?php
declare(strict_types=1);

namespace Coolify\Coold\Testing;

use Closure;
use Coolify\Coold\Http\Answer;
use Coolify\Coold\Http\Lines;

/** Lines that are there already. Input is taken at once. */
final class FakeLines implements Lines
{
    private ?Answer $posted = null;

    /**
     * @param list<array<string, mixed>> $lines
     * @param Closure(string): void $onInput
     */
    public function __construct(private array $lines, private readonly Closure $onInput)
    {
    }

    public function next(?float $timeoutSeconds): ?string
    {
        // As of a real one: who brings input has to see that it was taken.
        if ($this->posted !== null) {
            return '';
        }
        $line = array_shift($this->lines);
        return $line === null ? null : json_encode($line, JSON_THROW_ON_ERROR);
    }

    public function status(): int
    {
        return 200;
    }

    public function isPosting(): bool
    {
        return false;
    }

    public function post(string $path, string $lines): void
    {
        ($this->onInput)($lines);
        $this->posted = new Answer(204, '');
    }

    public function posted(): ?Answer
    {
        $posted = $this->posted;
        $this->posted = null;
        return $posted;
    }

    public function close(): void
    {
        $this->lines = [];
    }
}
