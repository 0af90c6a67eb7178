// Retrieval is that of Protego's evaluation (HKU-TASR/Protego, protego/utils.py). BCubed is per photo: the precision is
// the share of its cluster that is of the same person, the recall the share of the person's photos that is in its
// cluster, the photo itself included. F is the harmonic mean of a person's two means.
#include "experiments/linkage.hpp"

#include <cmath>
#include <map>
#include <numeric>

#include "facepoison/random.hpp"
#include "facepoison/stats.hpp"
#include "facepoison/verification.hpp"
#include "experiments/measures.hpp"
#include "experiments/people_pairs.hpp"

namespace facepoison {
namespace {

struct Sides {
  torch::Tensor clean, posted;  // directions, N×D
};

// The share of the k photos nearest to each query that are in `database`, which has k; a tie counts as nearer.
// `others`: the queries' cosines to the rest of the database.
double retrieved_share(const torch::Tensor& queries, const torch::Tensor& database, const torch::Tensor& others) {
  const auto own = queries.mm(database.t());
  const auto least = std::get<0>(torch::cat({own, others}, 1).topk(own.size(1), 1)).slice(1, -1);
  return (own >= least).to(torch::kFloat64).mean().item<double>();
}

// Retrieval of a person's photos, by linkage_cells. `gallery`: directions of everybody's photos.
std::vector<double> retrieved_cells(const Sides& album, const torch::Tensor& gallery, const torch::Tensor& others,
                                    Stream stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(album.clean.size(0)));
  std::iota(order.begin(), order.end(), 0);
  stream.shuffle(order);
  const auto half = album.clean.size(0) / 2;
  const auto places = torch::tensor(order), asking = places.slice(0, 0, half), asked = places.slice(0, half);
  std::vector<double> cells;
  for (const auto* side : {&album.clean, &album.posted}) {
    const auto queries = side->index_select(0, asking);
    const auto far = queries.mm(gallery.t()).index_select(1, others);
    for (const auto* database : {&album.clean, &album.posted})
      cells.push_back(retrieved_share(queries, database->index_select(0, asked), far));
  }
  return cells;
}

// Joins photos that are linked directly or through others.
class Linked {
 public:
  explicit Linked(std::size_t photos) : towards_(photos) { std::iota(towards_.begin(), towards_.end(), 0); }
  void join(std::size_t a, std::size_t b) { towards_[cluster_of(a)] = cluster_of(b); }
  std::size_t cluster_of(std::size_t photo) {
    while (towards_[photo] != photo) photo = towards_[photo] = towards_[towards_[photo]];
    return photo;
  }

 private:
  std::vector<std::size_t> towards_;
};

// The clusters of everybody's posted photos, linked where they are nearer than the threshold.
Linked clusters_of(const PeoplePairs& posted, std::size_t photos, double threshold) {
  Linked linked(photos);
  std::size_t first = 0;
  posted.for_each([&](std::size_t, const torch::Tensor& distances) {
    const auto near = (distances < threshold).nonzero();
    const auto pair = near.accessor<std::int64_t, 2>();
    for (std::int64_t n = 0; n < near.size(0); ++n)
      linked.join(first + static_cast<std::size_t>(pair[n][0]), first + static_cast<std::size_t>(pair[n][1]));
    first += static_cast<std::size_t>(distances.size(0));
  });
  return linked;
}

// Sets each person's BCubed; the photos of `people` follow each other.
void measure_clusters(Linked linked, std::vector<LinksOf>& people) {
  std::map<std::size_t, double> sizes;
  std::vector<std::map<std::size_t, double>> own(people.size());  // the person's photos by cluster
  std::size_t photo = 0;
  for (std::size_t p = 0; p < people.size(); ++p)
    for (std::int64_t n = 0; n < people[p].photos; ++n, ++photo) {
      ++sizes[linked.cluster_of(photo)];
      ++own[p][linked.cluster_of(photo)];
    }
  for (std::size_t p = 0; p < people.size(); ++p) {
    auto& person = people[p];
    const auto photos = static_cast<double>(person.photos);
    for (const auto& [cluster, count] : own[p]) {
      person.precision += count * count / sizes[cluster] / photos;
      person.recall += count * count / photos / photos;
    }
    person.f = 2 * person.precision * person.recall / (person.precision + person.recall);
  }
}

}  // namespace

std::vector<LinksOf> link_albums(const torch::Tensor& gallery, const std::vector<Label>& labels,
                                 const std::vector<PostedAlbum>& albums, Seed seed) {
  const auto everybody = directions(gallery);
  std::vector<LinksOf> people;
  std::vector<torch::Tensor> posted;
  std::size_t photos = 0;
  for (const auto& album : albums) {
    const Sides sides{directions(album.clean.read()), directions(album.posted.read())};
    const auto count = sides.posted.size(0);
    LinksOf person{album.person, count / 2, count * (count - 1) / 2, count};
    person.retrieved = count < 2 ? std::vector(linkage_cells.size(), std::nan(""))
                                 : retrieved_cells(sides, everybody, rows_where(labels, album.label, false),
                                                   Stream(seed, "linkage", album.person));
    people.push_back(std::move(person));
    posted.push_back(sides.posted);
    photos += static_cast<std::size_t>(count);
  }
  const PeoplePairs pairs(std::move(posted));
  const auto thresholds = pairs.thresholds(linkage_rates);
  pairs.for_each([&](std::size_t p, const torch::Tensor& distances) {
    const auto own = distances.slice(1, 0, distances.size(0));
    const auto genuine = numbers(own.masked_select(torch::ones_like(own).triu(1) > 0));
    for (const double threshold : thresholds)
      people[p].accepted.push_back(std::isnan(threshold) ? threshold : share_below(genuine, threshold));
  });
  if (std::isnan(thresholds.front()))
    for (auto& person : people) person.precision = person.recall = person.f = std::nan("");
  else
    measure_clusters(clusters_of(pairs, photos, thresholds.front()), people);
  return people;
}

}  // namespace facepoison
