#include "facepoison/unicode.hpp"

#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace facepoison {
namespace {

// A mark, and the letters that take it, each followed by what they make together. From Python's unicodedata.
const std::vector<std::pair<std::string, std::string_view>> compositions = {
    {"\u0300", "AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹЕЀИЍеѐиѝĒḔēḕŌṐōṑWẀwẁÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳ"},
    {"\u0301",
     "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿ¨΅ΑΆΕΈΗΉΙΊΟΌΥΎΩΏϊΐαά"
     "εέηήιίϋΰοόυύωώϒϓГЃКЌгѓкќÇḈçḉĒḖēḗÏḮïḯKḰkḱMḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứ"},
    {"\u0302", "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷZẐzẑẠẬạậẸỆẹệỌỘọộ"},
    {"\u0303", "AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ"},
    {"\u0304", "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳИӢиӣУӮуӯGḠgḡḶḸḷḹṚṜṛṝ"},
    {"\u0306", "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўЖӁжӂАӐаӑЕӖеӗȨḜȩḝẠẶạặ"},
    {"\u0307",
     "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣMṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤśṥŠṦšṧṢṨṣṩTṪtṫWẆwẇXẊxẋYẎ"
     "yẏſẛ"},
    {"\u0308",
     "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸΙΪΥΫιϊυϋϒϔЕЁІЇеёіїАӒаӓӘӚәӛЖӜжӝЗӞзӟИӤиӥОӦоӧӨӪөӫЭӬэӭУӰуӱЧӴчӵЫӸыӹHḦ"
     "hḧÕṎõṏŪṺūṻWẄwẅXẌxẍtẗ"},
    {"\u0309", "AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ"},
    {"\u030A", "AÅaåUŮuůwẘyẙ"},
    {"\u030B", "OŐoőUŰuűУӲуӳ"},
    {"\u030C", "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ"},
    {"\u030F", "AȀaȁEȄeȅIȈiȉOȌoȍRȐrȑUȔuȕѴѶѵѷ"},
    {"\u0311", "AȂaȃEȆeȇIȊiȋOȎoȏRȒrȓUȖuȗ"},
    {"\u031B", "OƠoơUƯuư"},
    {"\u0323", "BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣTṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiịOỌoọƠỢơợUỤuụƯỰưựYỴyỵ"},
    {"\u0324", "UṲuṳ"},
    {"\u0325", "AḀaḁ"},
    {"\u0326", "SȘsșTȚtț"},
    {"\u0327", "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ"},
    {"\u0328", "AĄaąEĘeęIĮiįUŲuųOǪoǫ"},
    {"\u032D", "DḒdḓEḘeḙLḼlḽNṊnṋTṰtṱUṶuṷ"},
    {"\u032E", "HḪhḫ"},
    {"\u0330", "EḚeḛIḬiḭUṴuṵ"},
    {"\u0331", "BḆbḇDḎdḏKḴkḵLḺlḻNṈnṉRṞrṟTṮtṯZẔzẕhẖ"},
    {"\u3099",
     "かがきぎくぐけげこごさざしじすずせぜそぞただちぢつづてでとどはばひびふぶへべほぼうゔゝゞカガキギクグケゲコゴサザ"
     "シジスズセゼソゾタダチヂツヅテデトドハバヒビフブヘベホボウヴワヷ"
     "ヰヸヱヹヲヺヽヾ"},
    {"\u309A", "はぱひぴふぷへぺほぽハパヒピフプヘペホポ"}};

// The first character's bytes.
std::string_view first_character(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (text[length] & 0xC0) == 0x80) ++length;
  return text.substr(0, length);
}

std::map<std::string_view, std::string> make_decompositions() {
  std::map<std::string_view, std::string> made;
  for (const auto& [mark, letters] : compositions)
    for (std::string_view rest = letters; !rest.empty();) {
      const auto letter = first_character(rest);
      rest.remove_prefix(letter.size());
      const auto whole = first_character(rest);
      rest.remove_prefix(whole.size());
      made[whole] = std::string(letter) + mark;
    }
  return made;
}

std::string three_bytes(unsigned code) {
  return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
          static_cast<char>(0x80 | (code & 63))};
}

// A syllable of Hangul as its two or three letters, by Unicode's arithmetic; "" for anything else.
std::string hangul(std::string_view character) {
  if (character.size() != 3) return "";
  const auto bits = [&](std::size_t i, unsigned mask) { return static_cast<unsigned char>(character[i]) & mask; };
  const unsigned code = bits(0, 15) << 12 | bits(1, 63) << 6 | bits(2, 63), syllable = code - 0xAC00;
  if (code < 0xAC00 || code > 0xD7A3) return "";
  const unsigned last = syllable % 28;
  return three_bytes(0x1100 + syllable / 588) + three_bytes(0x1161 + syllable % 588 / 28) +
         (last ? three_bytes(0x11A7 + last) : "");
}

// An accent that follows its letter: U+0300 to U+036F, and the two of kana.
bool is_accent(std::string_view character) {
  return (character >= "\u0300" && character <= "\u036F") || character == "\u3099" || character == "\u309A";
}

}  // namespace

std::string ascii_letters(const std::string& text) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const auto character = first_character(rest);
    rest.remove_prefix(character.size());
    if (is_accent(character)) continue;
    const char letter = decomposed(std::string(character))[0];
    out += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return out;
}

std::string decomposed(const std::string& text) {
  static const auto decompositions = make_decompositions();
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const auto character = first_character(rest);
    rest.remove_prefix(character.size());
    if (const auto found = decompositions.find(character); found != decompositions.end())
      out += decomposed(found->second);  // the letter may have an accent already
    else if (const auto letters = hangul(character); !letters.empty())
      out += letters;
    else
      out += character;
  }
  return out;
}

}  // namespace facepoison
