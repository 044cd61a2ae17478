<?php
declare(strict_types=1);

namespace Coolify\Coold\Build;

/** An image that serves the files of a repository. */
final readonly class StaticBuild implements Build
{
    /**
     * @param string $repoUrl the repository, as git takes it
     * @param string $gitRef a branch, a tag or a commit
     * @param string $targetImage the name that the image gets
     * @param string|null $outputDir the folder of the repository that is served; "dist" when null
     * @param string|null $baseImage "docker.io/library/nginx:alpine" when null
     * @param string|null $cacheKey builds of one key share their layers; null: the repository
     * @param list<string>|null $baseImages images that the build may take from the host's own storage
     */
    public function __construct(
        public string $repoUrl,
        public string $gitRef,
        public string $targetImage,
        public ?string $outputDir = null,
        public ?string $baseImage = null,
        public ?string $cacheKey = null,
        public ?Push $push = null,
        public ?array $baseImages = null,
    ) {
    }

    public function command(): array
    {
        return array_filter([
            'type' => 'static_build',
            'repo_url' => $this->repoUrl,
            'git_ref' => $this->gitRef,
            'target_image' => $this->targetImage,
            'output_dir' => $this->outputDir,
            'base_image' => $this->baseImage,
            'cache_key' => $this->cacheKey,
            'push' => $this->push?->fields(),
            'base_images' => $this->baseImages,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
